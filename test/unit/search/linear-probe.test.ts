import { describe, expect, it } from 'vitest';
import { fitLinearProbe } from '../../../services/search/statistics/linear-probe.js';
import { invertPositiveDefinite } from '../../../services/search/statistics/positive-definite.js';
import { createSeededRandom } from '../../../shared/random/seeded-random.js';

const sparse = (dense: readonly number[]) => {
  const rows = dense.flatMap((value, row) => (value === 0 ? [] : [row]));
  return { rows, values: rows.map((row) => dense[row]!) };
};

describe('the inverse of a positive definite matrix', () => {
  it('times the matrix is the identity', () => {
    const n = 7;
    const random = createSeededRandom(3);
    const factor = Float64Array.from({ length: n * n }, random.normal);
    const matrix = new Float64Array(n * n);
    for (let i = 0; i < n; i++)
      for (let j = 0; j < n; j++)
        for (let k = 0; k < n; k++) matrix[i * n + j]! += factor[i * n + k]! * factor[j * n + k]!;
    const inverse = invertPositiveDefinite(matrix, n);
    for (let i = 0; i < n; i++)
      for (let j = 0; j < n; j++) {
        let sum = 0;
        for (let k = 0; k < n; k++) sum += matrix[i * n + k]! * inverse[k * n + j]!;
        expect(sum).toBeCloseTo(i === j ? 1 : 0, 7);
      }
  });

  it('of one that is not is refused', () => {
    expect(() => invertPositiveDefinite(Float64Array.of(1, 2, 2, 1), 2)).toThrow(
      expect.objectContaining({ code: 'INTERNAL' }),
    );
  });
});

describe('the linear probe', () => {
  const random = createSeededRandom(11);
  const labels = Array.from({ length: 16 }, (_, i) => (i < 8 ? 1 : -1));
  const noise = () => labels.map(() => Math.max(0, random.normal()));
  const columns = [
    labels.map((label) => (label > 0 ? 2 + 0.1 * random.normal() : 0)),
    labels.map((label) => (label > 0 ? 0 : 3 + 0.1 * random.normal())),
    labels.map(() => 5),
    ...Array.from({ length: 30 }, noise),
  ];

  it('weighs what tells the labels apart most, with its sign, and a constant not at all', () => {
    const { weights, right, total } = fitLinearProbe(columns.map(sparse), labels);
    const others = [...weights.slice(3)].map(Math.abs);
    expect(weights[0]).toBeGreaterThan(Math.max(...others));
    expect(-weights[1]!).toBeGreaterThan(Math.max(...others));
    expect(weights[2]).toBe(0);
    expect([right, total]).toEqual([16, 16]);
  });

  it('is the ridge of the primal form: the gradient at its weights vanishes for one penalty', () => {
    const few = columns.slice(0, 5);
    const { weights } = fitLinearProbe(few.map(sparse), labels);
    const n = labels.length;
    const scaled = few.map((column) => {
      const mean = column.reduce((sum, value) => sum + value, 0) / n;
      const scale = Math.sqrt(column.reduce((sum, value) => sum + (value - mean) ** 2, 0) / n);
      return scale === 0 ? column.map(() => 0) : column.map((value) => (value - mean) / scale);
    });
    const residuals = labels.map((label, i) => label - scaled.reduce((sum, z, c) => sum + weights[c]! * z[i]!, 0));
    const pulls = scaled.map((z) => z.reduce((sum, value, i) => sum + value * residuals[i]!, 0));
    const penalties = pulls.flatMap((pull, c) => (weights[c] === 0 ? [] : [pull / weights[c]!]));
    expect(penalties).toHaveLength(4);
    for (const penalty of penalties) expect(penalty / penalties[0]!).toBeCloseTo(1, 6);
    expect(penalties[0]).toBeGreaterThan(0);
  });

  it('finds nothing to learn in noise: about half of the prompts, not all', () => {
    let right = 0;
    for (let draw = 0; draw < 20; draw++)
      right += fitLinearProbe(
        Array.from({ length: 40 }, () => sparse(noise())),
        labels,
      ).right;
    expect(right / (20 * 16)).toBeLessThan(0.65);
  });

  it('of columns that do not vary has no weights and no prompt right', () => {
    expect(fitLinearProbe([sparse(labels.map(() => 1))], labels)).toMatchObject({ right: 0, total: 16 });
  });
});
