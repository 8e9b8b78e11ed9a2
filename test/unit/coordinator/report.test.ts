import { describe, expect, it } from 'vitest';
import { runTasks } from '../../../services/coordinator/audit/run-tasks.js';
import { median } from '../../../services/coordinator/report/describe-spread.js';
import type { MinimalSetFacts } from '../../../services/coordinator/report/report-type.js';
import { rankSharedFeatures } from '../../../services/coordinator/report/shared-features.js';
import {
  countSetsBySize,
  countsUpTo,
  takeEvenly,
} from '../../../services/coordinator/stages/alternatives/alternatives.js';
import { derivedSeed } from '../../../services/coordinator/stages/derived-seed.js';
import { moveToCommonMean } from '../../../services/coordinator/stages/fit-masks.js';
import { chooseFeatures } from '../../../services/coordinator/stages/interactions.js';
import { addLengths, decodeLengths } from '../../../services/coordinator/stages/length-agreement.js';
import type { StageResults } from '../../../services/coordinator/stages/stage-results.js';
import { formatPositions, parsePositions } from '../../../shared/tensors/positions.js';

const setOf = (promptId: string, features: string[], category = ''): MinimalSetFacts => ({
  promptId,
  category,
  outcome: 'found',
  method: 'group',
  members: features.map((feature, i) => ({
    feature,
    cosine: 0.5,
    cleanActivation: i,
    restoredScore: i + 1,
    aloneScore: 0,
  })),
  cleanScore: 4,
  allOffScore: -2,
  setScore: -1,
  candidatesPerLayer: 10,
  tried: [10],
  oneMinimal: true,
  evaluations: 9,
  path: [],
  proof: [],
});

describe('numbers of the report', () => {
  it('the median of an even number of values is between the middle two', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
    expect(median([])).toBeNull();
  });

  it('shared features are counted over the sets that were found, ties by layer and number', () => {
    const none = { ...setOf('c', ['9/1']), outcome: 'no flip' as const };
    const ranked = rankSharedFeatures([setOf('a', ['13/10', '13/9'], 'x'), setOf('b', ['13/9', '5/400'], 'y'), none]);
    expect(ranked.map(({ feature, sets }) => [feature, sets.count, sets.of])).toEqual([
      ['13/9', 2, 2],
      ['5/400', 1, 2],
      ['13/10', 1, 2],
    ]);
    expect(ranked[0]).toMatchObject({
      promptIds: ['a', 'b'],
      categories: { x: 1, y: 1 },
      meanRestoredScore: 1.5,
      meanCleanActivation: 0.5,
    });
  });

  it('the features of the fit are the most shared ones, then the nearest candidates', () => {
    const earlier = {
      filter: { sets: [setOf('a', ['1/1', '1/2']), setOf('b', ['1/2'])] },
      candidates: {
        perLayer: 2,
        features: [
          { feature: '1/2', layer: 1, cosine: 0.9 },
          { feature: '3/3', layer: 3, cosine: 0.2 },
          { feature: '2/2', layer: 2, cosine: -0.7 },
        ],
      },
    } as unknown as StageResults;
    expect(chooseFeatures(earlier, 4)).toEqual(['1/2', '1/1', '2/2', '3/3']);
    expect(chooseFeatures(earlier, 2)).toEqual(['1/2', '1/1']);
  });

  it('moving prompts to the common mean keeps differences within a prompt and removes those between', () => {
    const rows = moveToCommonMean([
      [5, 7],
      [-3, 1],
    ]);
    const common = (5 + 7 - 3 + 1) / 4;
    expect(rows).toEqual([common - 1, common + 1, common - 2, common + 2]);
  });

  it('derived seeds differ by part, not by order', () => {
    expect(derivedSeed(1, 'a')).toBe(derivedSeed(1, 'a'));
    expect(new Set([derivedSeed(1, 'a'), derivedSeed(1, 'b'), derivedSeed(2, 'a')]).size).toBe(3);
    expect(derivedSeed(1, 'a')).toBeLessThan(2 ** 48);
  });
});

describe('alternatives', () => {
  it('numbers of features go on, doubled, while there are candidates for them', () => {
    expect(countsUpTo(50)).toEqual([1, 2, 3, 5, 8, 13, 20, 40, 80, 120]);
    expect(countsUpTo(500).slice(-3)).toEqual([120, 240, 480]);
    expect(countsUpTo(99_999).at(-1)).toBe(960);
  });

  it('prompts are taken at even distances, in their order', () => {
    expect(takeEvenly([1, 2, 3], 5)).toEqual([1, 2, 3]);
    expect(takeEvenly([0, 1, 2, 3, 4, 5, 6, 7], 3)).toEqual([0, 2, 5]);
  });

  it('sets count from their size on; a prompt without one, or whose set does not flip, is in the denominator', () => {
    const notFlipped = { ...setOf('d', ['1/1']), setScore: 0.5 };
    const none = { ...setOf('c', []), outcome: 'no flip' as const, setScore: null };
    const sets = [setOf('a', ['1/1', '1/2', '1/3']), setOf('b', ['1/1']), none, notFlipped, setOf('e', ['1/9', '1/8'])];
    expect(countSetsBySize(sets, ['a', 'b', 'c', 'd'])).toEqual({
      points: [
        { features: 1, flips: { count: 1, of: 4 } },
        { features: 3, flips: { count: 2, of: 4 } },
      ],
      flipsHalfAt: 3,
    });
    expect(countSetsBySize([none], ['c'])).toEqual({ points: [], flipsHalfAt: null });
  });
});

describe('agreement by length', () => {
  const length = {
    tokens: 8,
    complied: 1,
    refused: 2,
    partial: 3,
    degenerate: 4,
    judgeFailed: 5,
    ended: 6,
    agree: 5,
    agreeTotal: 6,
    delayedRefusals: 1,
    compliedBefore: 2,
    withdrawnRefusals: 0,
    refusedBefore: 3,
  };

  it('adds up over prompts, length by length, counts and denominators', () => {
    const one = decodeLengths([length, { ...length, tokens: 16 }]);
    const all = addLengths(addLengths([], one), one);
    expect(all.map(({ tokens }) => tokens)).toEqual([8, 16]);
    expect(all[0]).toEqual({
      tokens: 8,
      complied: 2,
      refused: 4,
      partial: 6,
      degenerate: 8,
      judgeFailed: 10,
      ended: 12,
      agreement: { count: 10, of: 12 },
      delayedRefusals: { count: 2, of: 4 },
      withdrawnRefusals: { count: 0, of: 6 },
    });
  });
});

describe('positions', () => {
  it.each(['instruction', 'all+bos', 'answer', '3:17', '3:', '0:5+bos'])('%s comes back as it was', (text) => {
    expect(formatPositions(parsePositions(text))).toBe(text);
  });
  it('all_but_first is all, which leaves position 0 out', () => {
    expect(parsePositions('all_but_first')).toEqual(parsePositions('all'));
  });
  it.each(['', 'bos', '5', '5:3', '3:3', '-1:4', 'instruction ', 'all+bos+bos'])('%j is refused', (text) => {
    expect(() => parsePositions(text)).toThrow(expect.objectContaining({ code: 'REQUEST_INVALID' }));
  });
});

describe('tasks', () => {
  it('run at most so many at once and keep the order of results', async () => {
    let now = 0;
    let most = 0;
    const results = await runTasks([3, 1, 2, 5, 4], 2, new AbortController().signal, async (item) => {
      most = Math.max(most, ++now);
      await new Promise((resolve) => setTimeout(resolve, item));
      now -= 1;
      return item * 10;
    });
    expect(results).toEqual([30, 10, 20, 50, 40]);
    expect(most).toBe(2);
  });

  it('the first failure stops the others, is the one thrown, and no task is left running', async () => {
    const ended: number[] = [];
    const run = runTasks([1, 2, 3, 4], 2, new AbortController().signal, async (item, signal) => {
      if (item === 1) throw new Error('first');
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      ended.push(item);
      throw new Error('second');
    });
    await expect(run).rejects.toThrow('first');
    expect(ended).toEqual([2]);
  });
});
