/**
 * Refusal scores as plain functions of which candidates are off, with known minimal sets: the truth that filters are tested
 * against. A task counts every distinct set that was asked for.
 */

import type { FilterTask, OffSet, PathStep, SetScore } from '../../../services/search/filter/filter.js';
import { createSeededRandom } from '../../../shared/random/seeded-random.js';

/** True if the model still refuses with these candidates off. */
export type Landscape = (isOff: (candidate: number) => boolean) => number;

const refuses = (does: boolean): number => (does ? 2 : -2);

/** Any one of the members is enough to refuse: the only minimal set is all of them. */
export const orOf =
  (members: OffSet): Landscape =>
  (isOff) =>
    refuses(members.some((member) => !isOff(member)));

/** All members are needed to refuse: every single member is a minimal set. */
export const andOf =
  (members: OffSet): Landscape =>
  (isOff) =>
    refuses(members.every((member) => !isOff(member)));

/** Refuses while more than half are on. */
export const majorityOf =
  (members: OffSet): Landscape =>
  (isOff) =>
    refuses(members.filter((member) => !isOff(member)).length * 2 > members.length);

/** A backup acts only while all before it are off: refusal falls only when the whole chain is off. */
export const hydraOf =
  (chain: OffSet): Landscape =>
  (isOff) =>
    refuses(chain.some((head, depth) => !isOff(head) && chain.slice(0, depth).every(isOff)));

/** Every member adds its weight; the decoys add a little noise that is fixed by the mask's content. */
export const thresholdOf =
  (weights: ReadonlyMap<number, number>, threshold: number, noise = 0): Landscape =>
  (isOff) => {
    let total = -threshold;
    let hash = 0x811c9dc5;
    for (const [member, weight] of weights) {
      if (isOff(member)) hash = Math.imul(hash ^ (member + 1), 0x01000193) >>> 0;
      else total += weight;
    }
    return total + noise * (hash / 0x80000000 - 1);
  };

/** Not monotone: a brake that, while it is on, holds refusal down, unless both heads are off. */
export const brakedOr =
  (heads: OffSet, brake: number): Landscape =>
  (isOff) =>
    refuses(heads.some((head) => !isOff(head)) && (isOff(brake) || !isOff(heads[0]!)));

export interface PlantedTask extends FilterTask {
  readonly path: PathStep[];
  /** Distinct sets asked for. */
  evaluations(): number;
  /** Calls of `score` that asked for something new: the rounds one would wait for. */
  rounds(): number;
}

export interface TaskOptions {
  readonly size: number;
  readonly landscape: Landscape;
  readonly byEstimate?: OffSet;
  readonly activeCount?: number;
}

export function createPlantedTask({ size, landscape, byEstimate, activeCount }: TaskOptions): PlantedTask {
  const known = new Map<string, SetScore>();
  const path: PathStep[] = [];
  let rounds = 0;
  const byCosine = Array.from({ length: size }, (_, i) => i);
  const scoreOf = (set: OffSet): SetScore => {
    const off = new Set(set);
    const refusalScore = landscape((candidate) => off.has(candidate));
    return { refusalScore, pI: 1 / (1 + Math.exp(-refusalScore)) };
  };
  return {
    size,
    byCosine,
    byEstimate: byEstimate ?? byCosine,
    activeCount: activeCount ?? size,
    nameOf: (candidate) => `9/${candidate}`,
    step: (step) => path.push(step),
    score: async (sets) => {
      const before = known.size;
      const scores = sets.map((set) => {
        const key = [...set].sort((a, b) => a - b).join();
        const score = known.get(key) ?? scoreOf(set);
        known.set(key, score);
        return score;
      });
      if (known.size > before) rounds++;
      return scores;
    },
    path,
    evaluations: () => known.size,
    rounds: () => rounds,
  };
}

/** An order in which each candidate's true weight is seen through noise: 0 gives the perfect order, large gives a random one. */
export function noisyOrder(size: number, members: OffSet, noise: number, seed: number): number[] {
  const random = createSeededRandom(seed).fork('order');
  const planted = new Set(members);
  const estimate = Array.from({ length: size }, (_, i) => (planted.has(i) ? 1 : 0) + noise * random.normal());
  return estimate.map((_, i) => i).sort((a, b) => estimate[b]! - estimate[a]! || a - b);
}
