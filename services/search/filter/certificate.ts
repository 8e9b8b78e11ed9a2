/**
 * The minimality certificate: every single restoration of a set, evaluated. A set is 1-minimal if it flips and none of its
 * subsets with one member fewer does. Nothing else in stage 2 may claim minimality: search orders and prunings are guesses,
 * this is the evidence.
 */
import { type FilterTask, isFlip, type OffSet, type SetScore, without } from './filter.js';

export interface Certificate {
  readonly set: OffSet;
  readonly setScore: SetScore;
  /** Score with the set off but for one member, in the order of `set`. */
  readonly restored: readonly SetScore[];
  readonly oneMinimal: boolean;
  /** Where it fails although the set flips: the smaller set that flips with the lowest score. */
  readonly smaller: OffSet | undefined;
}

/** Costs at most |set| + 1 evaluations; those already asked are free. */
export async function certify(task: Pick<FilterTask, 'score'>, set: OffSet): Promise<Certificate> {
  const subsets = set.map((member) => without(set, member));
  const [setScore, ...restored] = await task.score([set, ...subsets]);
  let best: number | undefined;
  for (const [i, score] of restored.entries()) {
    if (isFlip(score) && (best === undefined || score.refusalScore < restored[best]!.refusalScore)) best = i;
  }
  return {
    set,
    setScore: setScore!,
    restored,
    oneMinimal: isFlip(setScore!) && best === undefined,
    smaller: best === undefined ? undefined : subsets[best],
  };
}
