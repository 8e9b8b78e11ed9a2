import { describe, expect, it } from 'vitest';
import { type EnumerationTask, enumerateSets } from '../../../services/search/family/enumerate-sets.js';
import { largestDisjointFamily } from '../../../services/search/family/largest-disjoint-family.js';
import {
  createTransversals,
  type Mask,
  maskOf,
  membersOf,
  minimalOf,
} from '../../../services/search/family/minimal-transversals.js';
import type { OffSet } from '../../../services/search/filter/filter.js';
import { createSeededRandom } from '../../../shared/random/seeded-random.js';

const SIZE = 9;
const SUBSETS = Array.from({ length: 1 << SIZE }, (_, mask) => BigInt(mask));
const sorted = (masks: readonly Mask[]) => [...masks].sort((a, b) => Number(a - b));

/** A family of minimal sets at random: what flips contains one of them. */
const randomFamily = (seed: number): Mask[] => {
  const random = createSeededRandom(seed);
  const members = Array.from({ length: SIZE }, (_, i) => i);
  return minimalOf(
    Array.from({ length: 1 + random.below(6) }, () => maskOf(random.pick(members, 1 + random.below(4)))),
  );
};

/** By trying every subset: those that hit every set, and of these the minimal ones. */
const hittingSets = (family: readonly Mask[]) =>
  minimalOf(SUBSETS.filter((mask) => family.every((set) => (set & mask) !== 0n)));

function taskOf(flips: (off: Mask) => boolean): EnumerationTask & { asked: Set<Mask> } {
  const asked = new Set<Mask>();
  const everything = Array.from({ length: SIZE }, (_, i) => i);
  return {
    asked,
    size: SIZE,
    byEstimate: everything,
    activeCount: SIZE,
    byCosine: everything,
    nameOf: String,
    spent: () => asked.size,
    score: async (sets: readonly OffSet[]) =>
      sets.map((set) => {
        asked.add(maskOf(set));
        return { refusalScore: flips(maskOf(set)) ? -1 : 1, pI: 0 };
      }),
  };
}

const flipsBy = (family: readonly Mask[]) => (off: Mask) => family.some((set) => (set & off) === set);

describe('minimal hitting sets', () => {
  it('are those of an exhaustive search, whatever the order in which sets come', () => {
    for (let seed = 0; seed < 60; seed++) {
      const family = randomFamily(seed);
      const transversals = createTransversals();
      for (const set of createSeededRandom(seed).shuffle([...family])) transversals.add(set);
      expect(sorted(transversals.all)).toEqual(sorted(hittingSets(family)));
      expect(transversals.complete).toBe(true);
    }
  });

  it('say that they are not all of them once their bound is reached', () => {
    const transversals = createTransversals(8);
    for (let pair = 0; pair < 4; pair++) transversals.add(maskOf([2 * pair, 2 * pair + 1]));
    expect(transversals.all).toHaveLength(8);
    expect(transversals.complete).toBe(false);
  });

  it('keep members beyond the 32nd apart', () => {
    expect(membersOf(maskOf([3, 40, 299]))).toEqual([3, 40, 299]);
  });
});

describe('largest disjoint family', () => {
  it('is that of an exhaustive search', () => {
    for (let seed = 0; seed < 60; seed++) {
      const family = randomFamily(seed);
      const choices = Array.from({ length: 1 << family.length }, (_, choice) =>
        family.filter((_, i) => choice & (1 << i)),
      );
      const disjoint = choices.filter((sets) => {
        const members = sets.flatMap(membersOf);
        return new Set(members).size === members.length;
      });
      const found = largestDisjointFamily(family);
      expect(found.sets).toHaveLength(Math.max(...disjoint.map((sets) => sets.length)));
      expect(found.exact).toBe(true);
      expect(disjoint.some((sets) => sorted(sets).join() === sorted(found.sets).join())).toBe(true);
    }
  });
});

describe('enumeration of minimal sets', () => {
  it('finds every minimal set and every sustaining set, and knows that it has them all', async () => {
    for (let seed = 0; seed < 60; seed++) {
      const family = randomFamily(seed);
      const found = await enumerateSets(taskOf(flipsBy(family)), { maxEvaluations: 5000, maxSets: 64 });
      expect(sorted(found.sets)).toEqual(sorted(family));
      // The dual: minimal sets whose presence alone keeps the refusal up, by trying every subset.
      const everything = maskOf(Array.from({ length: SIZE }, (_, i) => i));
      const kept = minimalOf(SUBSETS.filter((mask) => !flipsBy(family)(everything & ~mask)));
      expect(sorted(found.sustaining)).toEqual(sorted(kept));
      expect(found).toMatchObject({ complete: true, violations: 0 });
    }
  });

  it('asks far less than every subset', async () => {
    const task = taskOf(flipsBy([maskOf([0, 1]), maskOf([2, 3]), maskOf([4])]));
    await enumerateSets(task, { maxEvaluations: 5000, maxSets: 64 });
    expect(task.asked.size).toBeLessThan(60);
  });

  it('does not claim completeness when the budget or the number of sets cuts it short', async () => {
    const family = Array.from({ length: 4 }, (_, pair) => maskOf([2 * pair, 2 * pair + 1]));
    const few = await enumerateSets(taskOf(flipsBy(family)), { maxEvaluations: 5000, maxSets: 2 });
    expect(few.sets).toHaveLength(2);
    expect(few.complete).toBe(false);
    const poor = await enumerateSets(taskOf(flipsBy(family)), { maxEvaluations: 10, maxSets: 64 });
    expect(poor.complete).toBe(false);
  });

  it('counts what it sees of a landscape where more suppression brings refusal back', async () => {
    // Two ways to flip; but with everything off except feature 0, refusal is back.
    const flips = flipsBy([maskOf([0, 1]), maskOf([2, 3])]);
    const allButFirst = maskOf([1, 2, 3, 4, 5, 6, 7, 8]);
    const twisted = await enumerateSets(
      taskOf((off) => flips(off) && off !== allButFirst),
      {
        maxEvaluations: 5000,
        maxSets: 64,
      },
    );
    expect(sorted(twisted.sets)).toEqual([maskOf([0, 1]), maskOf([2, 3])]);
    expect(twisted.violations).toBe(1);
  });
});
