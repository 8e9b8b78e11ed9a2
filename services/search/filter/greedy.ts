/**
 * Plain greedy: from all off, each candidate is restored in turn, the lowest cosine first, and stays restored if the flip
 * holds. One pass is minimal when more suppression never brings refusal back; where it does, further passes run until the
 * certificate holds. Costs about one evaluation a candidate: the yardstick for group testing.
 */
import { certify } from './certificate.js';
import { type Filter, type FilterTask, inOrder, isFlip, type OffSet, without } from './filter.js';

async function restoreOneByOne(task: FilterTask, start: OffSet): Promise<OffSet> {
  let off = start;
  for (const candidate of inOrder(task.byCosine, start).toReversed()) {
    const trial = without(off, candidate);
    const [score] = await task.score([trial]);
    const flipped = isFlip(score!);
    task.step({
      featuresOff: trial.length,
      score: score!.refusalScore,
      flipped,
      action: `restore ${task.nameOf(candidate)}`,
    });
    if (flipped) off = trial;
  }
  return off;
}

export const createGreedyFilter = (): Filter => async (task) => {
  let set: OffSet = task.byCosine;
  for (;;) {
    set = await restoreOneByOne(task, set);
    const certificate = await certify(task, set);
    if (certificate.smaller === undefined) return set;
    set = certificate.smaller;
  }
};
