import { describe, expect, it } from 'vitest';
import { evaluateFit } from '../../../services/fm/evaluate-fit.js';
import { splitRows } from '../../../services/fm/split-rows.js';

describe('evaluateFit', () => {
  it('gives the textbook values by hand', () => {
    // SS_residual = 0.25 + 0.25 + 0 = 0.5, SS_total = 1 + 0 + 1 = 2
    const quality = evaluateFit('squared', [1.5, 1.5, 3], [1, 2, 3]);
    expect(quality).toMatchObject({ rows: 3, r2: 0.75, rootMeanSquare: Math.sqrt(0.5 / 3), accuracy: 1 });
    const labels = evaluateFit('logistic', [Math.log(3), -Math.log(3), Math.log(3)], [1, 0, 0]);
    expect(labels.accuracy).toBeCloseTo(2 / 3, 12);
    expect(labels.logLoss).toBeCloseTo((2 * Math.log(4 / 3) + Math.log(4)) / 3, 12);
    expect(labels.majorityShare).toBeCloseTo(2 / 3, 12);
    expect(labels.r2).toBeUndefined();
  });

  it('says nothing of R2 where the target is constant, and nothing at all of no rows', () => {
    expect(evaluateFit('squared', [1, 2], [3, 3])).not.toHaveProperty('r2');
    expect(evaluateFit('squared', [], [])).toEqual({ rows: 0 });
  });

  it('keeps a negative R2', () => {
    expect(evaluateFit('squared', [3, 2, 1], [1, 2, 3]).r2).toBe(-3);
  });

  it('refuses a NaN prediction and never counts it', () => {
    expect(() => evaluateFit('squared', [1, Number.NaN], [1, 2])).toThrow(
      expect.objectContaining({
        code: 'NOT_FINITE',
        message: expect.stringMatching(/row 1 has prediction NaN/),
      }) as Error,
    );
  });

  it('finite log-loss at extreme log-odds', () => {
    expect(evaluateFit('logistic', [1000, -1000], [1, 1]).logLoss).toBe(500);
  });
});

describe('splitRows', () => {
  it('puts each row in exactly one part, the same for the same seed', () => {
    const split = splitRows(101, { seed: 5 });
    const all = [...split.train, ...split.validation, ...split.test].sort((a, b) => a - b);
    expect(all).toEqual(Array.from({ length: 101 }, (_, r) => r));
    expect(split).toEqual(splitRows(101, { seed: 5 }));
    expect(split.test).not.toEqual(splitRows(101, { seed: 6 }).test);
    expect([split.train.length, split.validation.length, split.test.length]).toEqual([71, 15, 15]);
  });

  it('keeps the rows of a group together', () => {
    const groups = Array.from({ length: 200 }, (_, r) => `prompt ${r % 20}`);
    const split = splitRows(200, { seed: 1, groups });
    const sides = [split.train, split.validation, split.test].map(
      (part) => new Set(Array.from(part, (r) => groups[r])),
    );
    expect(sides.map((side) => side.size)).toEqual([14, 3, 3]);
    expect(new Set(sides.flatMap((side) => [...side])).size).toBe(20);
  });
});
