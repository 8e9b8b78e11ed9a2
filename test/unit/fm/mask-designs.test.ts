import { describe, expect, it } from 'vitest';
import type { DesignMatrix } from '../../../services/fm/design-matrix.js';
import { buildBoundaryDesign, buildMaskDesign } from '../../../services/fm/mask-designs.js';

const masksOf = ({ rows, columns, values }: DesignMatrix) =>
  Array.from({ length: rows }, (_, r) => Array.from(values.subarray(r * columns, (r + 1) * columns)));
const sizesOf = (design: DesignMatrix) => masksOf(design).map((mask) => mask.reduce((sum, x) => sum + x, 0));
const share = (sizes: number[], keep: (size: number) => boolean) => sizes.filter(keep).length / sizes.length;

describe('mask designs', () => {
  it.each(['uniform', 'leverage', 'kernel-shap'] as const)('%s: distinct, seeded, with both ends first', (kind) => {
    const design = buildMaskDesign({ kind, columns: 40, rows: 500, seed: 3 });
    const masks = masksOf(design);
    expect(new Set(masks.map((mask) => mask.join(''))).size).toBe(500);
    expect(sizesOf(design).slice(0, 2)).toEqual([0, 40]);
    expect(design).toEqual(buildMaskDesign({ kind, columns: 40, rows: 500, seed: 3 }));
    expect(design).not.toEqual(buildMaskDesign({ kind, columns: 40, rows: 500, seed: 4 }));
  });

  it('uniform turns each feature off in about half of the masks', () => {
    const design = buildMaskDesign({ kind: 'uniform', columns: 20, rows: 4000, seed: 1 });
    for (let k = 0; k < 20; k++) {
      const on = masksOf(design).filter((mask) => mask[k] === 1).length;
      // 5 standard deviations of a fair coin
      expect(Math.abs(on - 2000)).toBeLessThan(160);
    }
  });

  it('leverage has every size equally often; kernel-shap has the sizes of its weights', () => {
    const leverage = sizesOf(buildMaskDesign({ kind: 'leverage', columns: 200, rows: 4000, seed: 1, withEnds: false }));
    expect(share(leverage, (s) => s < 50)).toBeCloseTo(0.25, 1);
    expect(share(leverage, (s) => s >= 50 && s < 100)).toBeCloseTo(0.25, 1);
    const kernel = sizesOf(buildMaskDesign({ kind: 'kernel-shap', columns: 10, rows: 300, seed: 1, withEnds: false }));
    // Sizes 1 and 9 have 20 masks between them, so repeats are refused there: middle sizes are compared.
    expect(share(kernel, (s) => s === 3) / share(kernel, (s) => s === 5)).toBeCloseTo(25 / 21, 0);
    expect(kernel.every((s) => s >= 1 && s <= 9)).toBe(true);
  });

  it('asked for far more masks than there are, it is done in a moment', () => {
    const begun = performance.now();
    const { rows } = buildMaskDesign({ kind: 'leverage', columns: 9, rows: 65_536, seed: 2 });
    expect(rows).toBe(65_536);
    // Listing all 512 again for each of them took minutes.
    expect(performance.now() - begun).toBeLessThan(20_000);
  });

  it('a design is stopped by its caller', () => {
    let calls = 0;
    const checkpoint = () => {
      if (++calls === 100) throw new Error('stopped');
    };
    expect(() => buildMaskDesign({ kind: 'uniform', columns: 64, rows: 1000, seed: 2 }, checkpoint)).toThrow('stopped');
  });

  it('gives all masks of few features before any repeat', () => {
    const masks = masksOf(buildMaskDesign({ kind: 'kernel-shap', columns: 4, rows: 16, seed: 2 }));
    expect(new Set(masks.map((mask) => mask.join(''))).size).toBe(16);
    expect(buildMaskDesign({ kind: 'uniform', columns: 2, rows: 30, seed: 2 }).rows).toBe(30);
  });

  it('the boundary design lies nearer the boundary than chance, but for its exploration', () => {
    const score = (mask: number[]) => 3 - mask.reduce((sum, x, k) => sum + x * (k % 5), 0) / 4;
    const predict = (design: DesignMatrix) => masksOf(design).map(score);
    const near = buildBoundaryDesign({ columns: 30, rows: 200, seed: 1, predict, exploration: 0 });
    const chance = buildMaskDesign({ kind: 'leverage', columns: 30, rows: 200, seed: 1 });
    const distance = (design: DesignMatrix) => predict(design).reduce((sum, s) => sum + Math.abs(s), 0) / design.rows;
    expect(distance(near)).toBeLessThan(0.15 * distance(chance));
    const mixed = buildBoundaryDesign({ columns: 30, rows: 200, seed: 1, predict, exploration: 0.5 });
    expect(distance(mixed)).toBeGreaterThan(2 * distance(near));
  });

  it.each([
    [{ columns: 0, rows: 4 }, /over 0 features; it must be 1 to 65536/],
    [{ columns: 4, rows: 0 }, /0 masks of 4 features/],
    [{ columns: 65536, rows: 65536 }, /at most 67108864 values/],
  ])('refuses %j', (sizes, text) => {
    expect(() => buildMaskDesign({ kind: 'uniform', seed: 0, ...sizes })).toThrow(
      expect.objectContaining({ code: 'REQUEST_INVALID', message: expect.stringMatching(text) }) as Error,
    );
  });

  it('a boundary model that gives NaN is refused', () => {
    const predict = (design: DesignMatrix) => new Float64Array(design.rows).fill(Number.NaN);
    expect(() => buildBoundaryDesign({ columns: 5, rows: 4, seed: 0, predict })).toThrow(
      expect.objectContaining({
        code: 'NOT_FINITE',
        message: expect.stringMatching(/no finite score for mask 0/),
      }) as Error,
    );
  });
});
