/** How many sets of a family can be taken so that no two share a member: set packing, by branch and bound. */
import { countBits, type Mask } from './minimal-transversals.js';

export interface DisjointFamily {
  readonly sets: readonly Mask[];
  /** False: the search was cut short, and a larger family may exist. */
  readonly exact: boolean;
}

/** Some milliseconds; the families of an audit take a few hundred steps. */
const MAX_STEPS = 200_000;

export function largestDisjointFamily(family: readonly Mask[]): DisjointFamily {
  // Small sets first: they leave the most room, so that a good family is found early and bounds the rest.
  const sets = [...family].sort((a, b) => countBits(a) - countBits(b));
  let best: readonly Mask[] = [];
  let steps = 0;
  const grow = (from: number, used: Mask, chosen: readonly Mask[]): void => {
    if (chosen.length > best.length) best = chosen;
    if (++steps > MAX_STEPS) return;
    const free = sets.slice(from).filter((set) => (set & used) === 0n);
    if (chosen.length + free.length <= best.length) return;
    for (let i = from; i < sets.length && chosen.length + (sets.length - i) > best.length; i++)
      if ((sets[i]! & used) === 0n) grow(i + 1, used | sets[i]!, [...chosen, sets[i]!]);
  };
  grow(0, 0n, []);
  return { sets: best, exact: steps <= MAX_STEPS };
}
