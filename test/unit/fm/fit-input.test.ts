import { describe, expect, it } from 'vitest';
import { fitBoostedTrees } from '../../../services/fm/boosted-trees.js';
import { buildDesign } from '../../../services/fm/design-matrix.js';
import { fitFactorizationMachine } from '../../../services/fm/fit-factorization-machine.js';
import type { FitOptions } from '../../../services/fm/fit-options.js';
import { fitWithBaseline } from '../../../services/fm/fit-with-baseline.js';
import { fitPairwiseRegression } from '../../../services/fm/pairwise-regression.js';
import { splitRows } from '../../../services/fm/split-rows.js';
import { runStepsNow } from '../../../services/fm/steps.js';
import { drawData, plantPairs } from './planted.js';

const good = drawData(plantPairs(10, 2, 1), 10, 100, 1, 0.1);
const failure = (code: string, text: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(text) }) as Error;

describe('bad input of a fit', () => {
  it('NaN in a mask is named by row and feature', () => {
    expect(() =>
      buildDesign([
        [0, 1],
        [1, Number.NaN],
      ]),
    ).toThrow(failure('NOT_FINITE', /feature 1 of row 1 is NaN/));
  });

  it('a ragged row is named', () => {
    expect(() => buildDesign([[0, 1], [1]])).toThrow(
      failure('MASK_WRONG_LENGTH', /row 1 has 1 values and row 0 has 2/),
    );
  });

  it('no rows, and no features', () => {
    expect(() => buildDesign([])).toThrow(failure('REQUEST_INVALID', /0 rows of 0 features/));
    expect(() => buildDesign([[], []])).toThrow(failure('REQUEST_INVALID', /2 rows of 0 features/));
  });

  it('values that do not fill the shape', () => {
    const design = { ...good.design, rows: 99 };
    const run = () => runStepsNow(fitWithBaseline({ design, target: good.target, loss: 'squared' }));
    expect(run).toThrow(failure('SHAPE_MISMATCH', /1000 values; 99 rows of 10 features need 990/));
  });

  it('more values than fit', () => {
    const design = { rows: 1 << 20, columns: 1 << 20, values: new Float32Array(1) };
    const run = () => runStepsNow(fitFactorizationMachine({ ...good, design }));
    expect(run).toThrow(failure('REQUEST_TOO_LARGE', /more than 67108864 values/));
  });

  it.each([
    [{ target: good.target }, 'squared', undefined],
    [{ target: [1, 2, 3] }, 'squared', failure('SHAPE_MISMATCH', /3 targets for 100 rows/)],
    [
      { target: Array.from({ length: 100 }, (_, r) => (r === 7 ? Number.NaN : r)) },
      'squared',
      failure('NOT_FINITE', /target of row 7 is NaN/),
    ],
    [
      { target: Array.from({ length: 100 }, () => 2.5) },
      'squared',
      failure('REQUEST_INVALID', /all 70 targets of the training rows are 2.5: there is nothing to fit/),
    ],
    [
      { target: Array.from({ length: 100 }, (_, r) => r % 3) },
      'logistic',
      failure('REQUEST_INVALID', /label of row 2 is 2; labels are 1 \(harmful\) or 0 \(harmless\)/),
    ],
    [
      { target: Array.from({ length: 100 }, () => 1) },
      'logistic',
      failure('REQUEST_INVALID', /all 70 targets of the training rows are 1/),
    ],
  ] as const)('targets %#', (change, loss, expected) => {
    const run = () => runStepsNow(fitFactorizationMachine({ ...good, ...change, loss }));
    if (expected) expect(run).toThrow(expected);
    else expect(run).not.toThrow();
  });

  it.each<[Partial<FitOptions>, RegExp]>([
    [{ rank: 0 }, /rank is 0; it must be a whole number from 1 to 256/],
    [{ rank: 2.5 }, /rank is 2.5/],
    [{ epochs: 0 }, /epochs is 0/],
    [{ seed: -1 }, /seed is -1/],
    [{ l2Factors: Number.NaN }, /l2Factors is NaN; it must be from 0/],
    [{ l2Linear: -1 }, /l2Linear is -1/],
    [{ learningRate: 0 }, /nothing would be learned/],
    [{ restarts: 0 }, /restarts is 0/],
  ])('option %j', (options, text) => {
    expect(() => runStepsNow(fitFactorizationMachine(good, options))).toThrow(failure('REQUEST_INVALID', text));
  });

  it('a solver that cannot fit the loss', () => {
    const target = Float64Array.from(good.target, (_, r) => r % 2);
    const run = () =>
      runStepsNow(fitFactorizationMachine({ ...good, target, loss: 'logistic' }, { solver: 'coordinate-descent' }));
    expect(run).toThrow(failure('REQUEST_INVALID', /coordinate-descent fits squared loss only/));
  });

  it('too few rows', () => {
    expect(() => splitRows(15, { seed: 0 })).toThrow(failure('REQUEST_INVALID', /15 rows are too few .* at least 16/));
  });

  it('shares that leave nothing to train on, and too few groups', () => {
    const run = () => splitRows(100, { seed: 0, validationShare: 0.5, testShare: 0.5 });
    expect(run).toThrow(failure('REQUEST_INVALID', /sum to less than 1/));
    const groups = Array.from({ length: 100 }, (_, r) => r % 2);
    expect(() => splitRows(100, { seed: 0, groups })).toThrow(
      failure('REQUEST_INVALID', /2 groups cannot be split in three/),
    );
  });

  it('a split of other rows', () => {
    const run = () => runStepsNow(fitFactorizationMachine({ ...good, split: splitRows(200, { seed: 0 }) }));
    expect(run).toThrow(failure('REQUEST_INVALID', /twice or past the 100 rows/));
  });

  it('a diverging learning rate is an error, not a model', () => {
    const options = { solver: 'adam', l2Linear: 0, l2Factors: 0, learningRate: 1e6, epochs: 400 } as const;
    const huge = { ...good, target: Float64Array.from(good.target, (y) => y * 1e300) };
    expect(() => runStepsNow(fitFactorizationMachine(huge, options))).toThrow(failure('NOT_FINITE', /./));
  });

  it('all pairs of too many features, and trees on activations', () => {
    const wide = drawData(plantPairs(401, 1, 1), 401, 20, 1, 0.1);
    const run = () => runStepsNow(fitPairwiseRegression(wide, { penalty: 'ridge' }));
    expect(run).toThrow(failure('REQUEST_TOO_LARGE', /401 features are too many .* limit is 400/));
    const values = good.design.values.map((x) => x / 2);
    const trees = () => runStepsNow(fitBoostedTrees({ ...good, design: { ...good.design, values } }));
    expect(trees).toThrow(failure('REQUEST_INVALID', /scores of 0\/1 masks only/));
  });
});
