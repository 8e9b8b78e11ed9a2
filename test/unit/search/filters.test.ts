import { describe, expect, it } from 'vitest';
import { certify } from '../../../services/search/filter/certificate.js';
import type { Filter, OffSet } from '../../../services/search/filter/filter.js';
import { createGreedyFilter } from '../../../services/search/filter/greedy.js';
import { createGroupFilter } from '../../../services/search/filter/group.js';
import { createPaperFilter, PAPER_DEFAULTS } from '../../../services/search/filter/paper.js';
import { createSeededRandom } from '../../../shared/random/seeded-random.js';
import {
  andOf,
  brakedOr,
  createPlantedTask,
  hydraOf,
  type Landscape,
  majorityOf,
  noisyOrder,
  orOf,
  type TaskOptions,
  thresholdOf,
} from './planted-landscape.js';

const sorted = (set: OffSet): number[] => [...set].sort((a, b) => a - b);

async function run(filter: Filter, options: TaskOptions) {
  const task = createPlantedTask(options);
  await task.score([[], task.byCosine]);
  const set = await filter(task);
  const certificate = await certify(task, set);
  return { set: sorted(set), certificate, evaluations: task.evaluations(), rounds: task.rounds(), path: task.path };
}

/** Checks 1-minimality on the landscape itself, without the certificate's code. */
function isOneMinimal(set: OffSet, landscape: Landscape): boolean {
  const score = (off: OffSet) => landscape((candidate) => off.includes(candidate));
  return score(set) < 0 && set.every((member) => score(set.filter((other) => other !== member)) >= 0);
}

const MEMBERS = [7, 31, 64, 90, 118];

describe('group filter on planted landscapes of 120 candidates', () => {
  it.each([
    ['an OR of five', orOf(MEMBERS), MEMBERS],
    ['a hydra of depth four', hydraOf([64, 7, 118, 31, 90]), MEMBERS],
    ['a single feature', orOf([64]), [64]],
  ])('finds exactly the planted set of %s', async (_name, landscape, expected) => {
    for (const noise of [0, 0.6, 5]) {
      const found = await run(createGroupFilter(), {
        size: 120,
        landscape,
        byEstimate: noisyOrder(120, MEMBERS, noise, 3),
      });
      expect(found.set).toEqual(expected);
      expect(found.certificate.oneMinimal).toBe(true);
    }
  });

  it('needs one member of an AND and three of a majority of five', async () => {
    const and = await run(createGroupFilter(), { size: 120, landscape: andOf(MEMBERS) });
    const majority = await run(createGroupFilter(), { size: 120, landscape: majorityOf(MEMBERS) });
    expect(and.set).toHaveLength(1);
    expect(majority.set).toHaveLength(3);
    expect([...and.set, ...majority.set].every((member) => MEMBERS.includes(member))).toBe(true);
  });

  it('takes every dormant backup although all of them stand last in the order', async () => {
    const chain = [2, 100, 101, 102];
    const found = await run(createGroupFilter(), { size: 120, landscape: hydraOf(chain), activeCount: 20 });
    expect(found.set).toEqual(chain);
    expect(found.path.some((step) => step.featuresOff === 20 && !step.flipped)).toBe(true);
  });

  it('ends in a certified set on a landscape that is not monotone', async () => {
    for (let seed = 0; seed < 40; seed++) {
      const [first, second, brake] = createSeededRandom(seed).pick(
        Array.from({ length: 60 }, (_, i) => i),
        3,
      );
      const landscape = brakedOr([first!, second!], brake!);
      const byEstimate = noisyOrder(60, [first!, second!], 1, seed);
      for (const filter of [createGroupFilter(), createGreedyFilter()]) {
        const { set, certificate } = await run(filter, { size: 60, landscape, byEstimate });
        expect(certificate.oneMinimal).toBe(true);
        expect(isOneMinimal(set, landscape)).toBe(true);
      }
    }
  });

  it('is 1-minimal on noisy weighted sums of any shape', async () => {
    for (let seed = 0; seed < 60; seed++) {
      const random = createSeededRandom(seed);
      const members = random.pick(
        Array.from({ length: 80 }, (_, i) => i),
        1 + random.below(12),
      );
      const weights = new Map(members.map((member) => [member, 0.2 + random.uniform()] as const));
      const total = [...weights.values()].reduce((sum, weight) => sum + weight, 0);
      const landscape = thresholdOf(weights, total * 0.5, 0.1);
      const byEstimate = noisyOrder(80, members, 0.5, seed);
      const { set, certificate } = await run(createGroupFilter(), { size: 80, landscape, byEstimate });
      expect(isOneMinimal(set, landscape)).toBe(true);
      expect(certificate.restored).toHaveLength(set.length);
    }
  });

  it('is deterministic', async () => {
    const options = { size: 120, landscape: majorityOf(MEMBERS), byEstimate: noisyOrder(120, MEMBERS, 1, 9) };
    expect(await run(createGroupFilter(), options)).toEqual(await run(createGroupFilter(), options));
  });
});

describe('group filter against plain greedy', () => {
  it.each([1, 2, 3])(
    'finds sets of %i with at most a third of the evaluations, even from a random order',
    async (count) => {
      for (const noise of [0.3, 0.6, 5]) {
        let group = 0;
        let greedy = 0;
        for (let seed = 0; seed < 40; seed++) {
          const members = createSeededRandom(seed).pick(
            Array.from({ length: 120 }, (_, i) => i),
            count,
          );
          const options = { size: 120, landscape: orOf(members), byEstimate: noisyOrder(120, members, noise, seed) };
          const ours = await run(createGroupFilter(), options);
          const theirs = await run(createGreedyFilter(), options);
          expect(ours.set.length).toBeLessThanOrEqual(theirs.set.length);
          group += ours.evaluations;
          greedy += theirs.evaluations;
        }
        expect(group).toBeLessThanOrEqual(greedy / 3);
      }
    },
  );

  it('holds the third for sets of five when the order says anything at all', async () => {
    const options = { size: 120, landscape: orOf(MEMBERS), byEstimate: noisyOrder(120, MEMBERS, 0.6, 1) };
    const ours = await run(createGroupFilter(), options);
    const theirs = await run(createGreedyFilter(), options);
    expect(ours.evaluations).toBeLessThanOrEqual(theirs.evaluations / 3);
  });

  it('waits for fewer rounds when it speculates more', async () => {
    const options = { size: 300, landscape: orOf(MEMBERS), byEstimate: noisyOrder(300, MEMBERS, 0.6, 1) };
    const narrow = await run(createGroupFilter({ speculation: 1 }), options);
    const wide = await run(createGroupFilter({ speculation: 8 }), options);
    expect(wide.set).toEqual(narrow.set);
    expect(wide.rounds).toBeLessThan(narrow.rounds / 2);
  });
});

describe('plain greedy', () => {
  it('restores the lowest cosine first and so keeps the highest of an AND', async () => {
    const found = await run(createGreedyFilter(), { size: 120, landscape: andOf(MEMBERS) });
    expect(found.set).toEqual([7]);
    expect(found.path[0]).toMatchObject({ action: 'restore 9/119', featuresOff: 119 });
  });
});

describe('certificate', () => {
  it('names the smaller set with the lowest score when a member is not needed', async () => {
    const task = createPlantedTask({ size: 10, landscape: orOf([1, 2]) });
    const certificate = await certify(task, [1, 2, 5]);
    expect(certificate.oneMinimal).toBe(false);
    expect(certificate.smaller).toEqual([1, 2]);
  });

  it('does not call a set minimal that does not flip', async () => {
    const task = createPlantedTask({ size: 10, landscape: orOf([1, 2]) });
    expect(await certify(task, [1])).toMatchObject({ oneMinimal: false, smaller: undefined });
  });
});

describe('paper filter', () => {
  const options = { ...PAPER_DEFAULTS, seed: 5 };
  it('keeps whole blocks, and only what every order kept', async () => {
    const single = await run(createPaperFilter({ ...options, seeds: 1 }), { size: 120, landscape: orOf([64]) });
    const three = await run(createPaperFilter(options), { size: 120, landscape: orOf([64]) });
    expect(single.set).toHaveLength(5);
    expect(single.set).toContain(64);
    expect(three.set).toContain(64);
    expect(three.set.length).toBeLessThan(5);
  });

  it('asks for one evaluation a block and order', async () => {
    const { evaluations } = await run(createPaperFilter(options), { size: 320, landscape: orOf([64]) });
    const certificateAndEnds = 5;
    expect(evaluations).toBeLessThanOrEqual((320 / 5) * 3 + certificateAndEnds);
    expect(evaluations).toBeGreaterThan((320 / 5) * 3 - 10);
  });

  it.each([
    [{ blockSize: 0 }, 'block_size is 0; it must be a whole number of 1 or more.'],
    [{ threshold: 1.5 }, 'threshold is 1.5; as a change of a probability it must be above 0 and at most 1.'],
    [{ threshold: Number.NaN }, 'threshold is NaN; as a change of a probability it must be above 0 and at most 1.'],
    [{ seeds: 65 }, 'seeds is 65; 1 to 64 random orders are allowed.'],
  ])('refuses %j', (overrides, message) => {
    expect(() => createPaperFilter({ ...options, ...overrides })).toThrow(
      expect.objectContaining({ code: 'REQUEST_INVALID', message }),
    );
  });

  it('does not claim minimality for a set that fails it', async () => {
    const found = await run(createPaperFilter({ ...options, seeds: 1 }), { size: 120, landscape: orOf([64]) });
    expect(found.certificate.oneMinimal).toBe(false);
  });
});
