import { describe, expect, it } from 'vitest';
import { fitBoostedTrees } from '../../../services/fm/boosted-trees.js';
import { asSurrogate, type FactorizationMachine } from '../../../services/fm/factorization-machine.js';
import { asPairwiseSurrogate } from '../../../services/fm/pairwise-model.js';
import { fitPairwiseRegression } from '../../../services/fm/pairwise-regression.js';
import { rankInteractions, rankMainEffects } from '../../../services/fm/rank-interactions.js';
import { runStepsNow } from '../../../services/fm/steps.js';
import { compareTwoByTwo, measureAgreement, planTwoByTwo } from '../../../services/fm/two-by-two.js';
import { drawData, plantPairs, recall } from './planted.js';

const machine: FactorizationMachine = {
  loss: 'squared',
  columns: 4,
  rank: 2,
  intercept: 1,
  weights: Float64Array.of(1, -2, 0.5, 0),
  factors: Float64Array.of(1, 0, 2, 0, -3, 1, 0, 5),
};

describe('ranked interactions', () => {
  it('are all products <v_i, v_j> by size, with the unit of each feature', () => {
    const top = runStepsNow(rankInteractions(asSurrogate(machine), { limit: 10 }));
    expect(top.map(({ first, second, effect }) => [first, second, effect])).toEqual([
      [1, 2, -6],
      [2, 3, 5],
      [0, 2, -3],
      [0, 1, 2],
    ]);
    const scaled = runStepsNow(rankInteractions(asSurrogate(machine), { limit: 1, units: [10, 1, 1, 1] }));
    expect(scaled).toEqual([{ first: 0, second: 2, weight: -3, effect: -30 }]);
  });

  it('a small limit gives the head of the full list', () => {
    const surrogate = {
      ...asSurrogate(machine),
      columns: 90,
      pairWeight: (i: number, j: number) => Math.sin(i * 91 + j),
    };
    const all = runStepsNow(rankInteractions(surrogate, { limit: 5000 }));
    expect(all).toHaveLength(4005);
    expect(runStepsNow(rankInteractions(surrogate, { limit: 7 }))).toEqual(all.slice(0, 7));
  });

  it('main effects alone and among others', () => {
    const effects = runStepsNow(rankMainEffects(asSurrogate(machine), [0.5, 0.5, 0.5, 0.5], { limit: 4 }));
    expect(effects.find((e) => e.feature === 0)).toEqual({ feature: 0, alone: 1, amongOthers: 1 + 0.5 * (2 - 3) });
    expect(effects[0]).toEqual({ feature: 1, alone: -2, amongOthers: -2 + 0.5 * (2 - 6) });
  });

  it.each(['ridge', 'lasso'] as const)('all-pairs %s finds the planted pairs', (penalty) => {
    const planted = plantPairs(15, 4, 2);
    const { model } = runStepsNow(fitPairwiseRegression(drawData(planted, 15, 400, 2, 0.1), { penalty }));
    const top = runStepsNow(rankInteractions(asPairwiseSurrogate(model), { limit: 4 }));
    expect(recall(planted, top)).toBe(1);
    const [i, j, size] = planted.pairs[0]!;
    expect(asPairwiseSurrogate(model).pairWeight(j, i)).toBeCloseTo(size, 0);
  });

  it('boosted trees find the planted pairs and a triple that only works together', () => {
    const planted = plantPairs(20, 4, 3);
    const { model } = runStepsNow(fitBoostedTrees(drawData(planted, 20, 600, 3, 0.1)));
    expect(recall(planted, runStepsNow(rankInteractions(asPairwiseSurrogate(model), { limit: 4 })))).toBe(1);
    const triple = { pairs: [], score: (m: ArrayLike<number>) => 2 - 4 * m[1]! * m[4]! * m[9]! };
    const found = runStepsNow(fitBoostedTrees(drawData(triple, 20, 600, 3, 0.05)));
    const top = runStepsNow(rankInteractions(asPairwiseSurrogate(found.model), { limit: 3 }));
    expect(top.map((p) => `${p.first},${p.second}`).sort()).toEqual(['1,4', '1,9', '4,9']);
  });
});

describe('exact 2x2', () => {
  const score = (mask: ArrayLike<number>) =>
    2 - mask[0]! - mask[1]! + 3 * mask[0]! * mask[1]! - 5 * mask[1]! * mask[2]! * mask[3]!;
  const measure = (plan: ReturnType<typeof planTwoByTwo>) =>
    Array.from({ length: plan.masks.rows }, (_, r) => score(plan.masks.values.subarray(4 * r, 4 * r + 4)));

  it('measures f(ij) - f(i) - f(j) + f(none) with each mask evaluated once', () => {
    const plan = planTwoByTwo(
      [
        { first: 0, second: 1, predicted: 2.5 },
        { first: 1, second: 2, predicted: -1 },
      ],
      4,
    );
    expect(plan.masks.rows).toBe(6);
    const { pairs } = compareTwoByTwo(plan, measure(plan));
    expect(pairs.map((p) => p.measured)).toEqual([3, 0]);
    expect(pairs[0]!.scores).toEqual({ neither: 2, first: 1, second: 1, both: 3 });
  });

  it('sees an interaction that needs its context only in that context', () => {
    const pair = { first: 1, second: 2, predicted: -5 };
    const inContext = planTwoByTwo([pair], 4, [[0, 0, 0, 1]]);
    expect(compareTwoByTwo(inContext, measure(inContext)).pairs[0]!.measured).toBe(-5);
    const both = planTwoByTwo([pair], 4, [
      [0, 0, 0, 1],
      [0, 0, 0, 0],
    ]);
    expect(compareTwoByTwo(both, measure(both)).pairs[0]!.measured).toBe(-2.5);
  });

  it('agreement has the values of the textbook', () => {
    const agreement = measureAgreement([1, 2, 3, -4], [2, 4, 6, -8]);
    expect(agreement).toMatchObject({ pairs: 4, signAgreement: 1, signPairs: 4, slope: 2 });
    expect(agreement.correlation).toBeCloseTo(1, 12);
    expect(agreement.rootMeanSquare).toBeCloseTo(Math.sqrt(30 / 4), 12);
    // numpy.corrcoef([1,2,3,4],[1,3,2,4]) = 0.8
    expect(measureAgreement([1, 2, 3, 4], [10, 30, 20, 40]).rankCorrelation).toBeCloseTo(0.8, 12);
    expect(measureAgreement([1, -1], [-1, 0])).toMatchObject({ signAgreement: 0, signPairs: 1 });
  });

  it('what cannot be computed is absent, not 0', () => {
    const agreement = measureAgreement([2], [3]);
    expect(agreement).not.toHaveProperty('correlation');
    expect(measureAgreement([1, 1], [2, 3])).not.toHaveProperty('correlation');
    expect(measureAgreement([0, 0], [1, 2])).not.toHaveProperty('slope');
    expect(measureAgreement([0, 0], [1, 2])).not.toHaveProperty('signAgreement');
  });

  it.each([
    [
      () => planTwoByTwo([{ first: 1, second: 1, predicted: 0 }], 4),
      'REQUEST_INVALID',
      /pair \(1, 1\) is not two different/,
    ],
    [() => planTwoByTwo([{ first: 1, second: 4, predicted: 0 }], 4), 'REQUEST_INVALID', /features of 0 to 3/],
    [() => planTwoByTwo([], 4), 'REQUEST_INVALID', /0 pairs in 1 contexts/],
    [
      () => planTwoByTwo([{ first: 0, second: 1, predicted: 0 }], 4, [[0]]),
      'MASK_WRONG_LENGTH',
      /1 values and there are 4/,
    ],
    [
      () => compareTwoByTwo(planTwoByTwo([{ first: 0, second: 1, predicted: 0 }], 4), [1, 2, 3]),
      'SHAPE_MISMATCH',
      /3 scores for 4 masks/,
    ],
    [
      () => compareTwoByTwo(planTwoByTwo([{ first: 0, second: 1, predicted: 0 }], 4), [1, 2, 3, Number.NaN]),
      'NOT_FINITE',
      /score of mask 3 is NaN/,
    ],
  ])('refuses %#', (run, code, text) => {
    expect(run).toThrow(expect.objectContaining({ code, message: expect.stringMatching(text) }) as Error);
  });
});
