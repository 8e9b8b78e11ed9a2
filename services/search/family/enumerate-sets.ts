/**
 * All minimal sets of one prompt, by duality with hitting sets (Reiter 1987). Every minimal set that is not known yet avoids some
 * minimal hitting set H of the known ones, so: switch off everything but H. If that flips, shrink it to a new minimal set; if not, H
 * goes on refusing alone. Once every H has been tried and none flips, no further set exists, and the H are the dual family: the
 * minimal sets of features that sustain the refusal when all others are off.
 *
 * This is exact where more suppression never brings refusal back. Where it does, each set found is still 1-minimal by its certificate,
 * but others may be missed; `violations` counts what was seen of it.
 */
import { type Filter, type FilterTask, inOrder, isFlip, type OffSet } from '../filter/filter.js';
import { createGroupFilter } from '../filter/group.js';
import { countBits, createTransversals, type Mask, maskOf, membersOf } from './minimal-transversals.js';

export interface EnumerationTask extends Omit<FilterTask, 'step'> {
  /** Evaluations asked for so far. */
  spent(): number;
}

export interface EnumerationOptions {
  /** No new question is asked once this many evaluations are spent. */
  readonly maxEvaluations: number;
  readonly maxSets: number;
  readonly filter?: Filter;
}

export interface SetFamily {
  /** Minimal sets that flip, in the order in which they were found. */
  readonly sets: readonly Mask[];
  /** Minimal hitting sets that were tried and go on refusing. All of the dual family if `complete`. */
  readonly sustaining: readonly Mask[];
  /** True: there is no further minimal set among the candidates (where suppression is monotone). */
  readonly complete: boolean;
  /** Sets that do not flip although they contain one that does. */
  readonly violations: number;
}

/** Hitting sets tried at once: they are independent, and the engine is fastest with full batches. */
const TRIED_AT_ONCE = 16;

/** The task's full set flips and its empty set does not. */
export async function enumerateSets(task: EnumerationTask, options: EnumerationOptions): Promise<SetFamily> {
  const filter = options.filter ?? createGroupFilter();
  const everything = maskOf(task.byEstimate);
  const transversals = createTransversals();
  const sustaining = new Set<Mask>();
  let sets: Mask[] = [];
  let exhausted = false;
  while (sets.length < options.maxSets && task.spent() < options.maxEvaluations) {
    const untried = transversals.all
      .filter((mask) => !sustaining.has(mask))
      .sort((a, b) => countBits(a) - countBits(b));
    if (untried.length === 0) {
      exhausted = transversals.complete;
      break;
    }
    const tried = untried.slice(0, TRIED_AT_ONCE);
    const scores = await task.score(tried.map((mask) => membersOf(everything & ~mask)));
    for (const [i, score] of scores.entries()) if (!isFlip(score)) sustaining.add(tried[i]!);
    const flipping = tried.find((_, i) => isFlip(scores[i]!));
    if (flipping === undefined) continue;
    const found = maskOf(await filter(within(task, membersOf(everything & ~flipping))));
    // Only where suppression is not monotone can a new set lie inside a known one: that one then was not minimal.
    sets = [...sets.filter((set) => (found & set) !== found), found];
    transversals.add(found);
  }
  const hitting = [...sustaining].filter((mask) => sets.every((set) => (set & mask) !== 0n));
  return { sets, sustaining: hitting, complete: exhausted, violations: sustaining.size - hitting.length };
}

/** The same task with these candidates alone. */
function within(task: EnumerationTask, allowed: OffSet): FilterTask {
  const active = new Set(task.byEstimate.slice(0, task.activeCount));
  const byEstimate = inOrder(task.byEstimate, allowed);
  return {
    ...task,
    byEstimate,
    activeCount: byEstimate.filter((candidate) => active.has(candidate)).length,
    byCosine: inOrder(task.byCosine, allowed),
    step: () => {},
  };
}
