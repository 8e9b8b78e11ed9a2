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

const PENALTIES = Array.from({ length: 13 }, (_, step) => 10 ** (2 - step / 2));

/** The primal ridge, fitted again without each pair of prompts i and i + n / 2, on columns scaled over all. */
function refitWithoutFolds(columns: readonly (readonly number[])[], labels: readonly number[], penalty: number) {
  const n = labels.length;
  const k = columns.length;
  const scaled = columns.map((column) => {
    const mean = column.reduce((sum, value) => sum + value, 0) / n;
    const scale = Math.sqrt(column.reduce((sum, value) => sum + (value - mean) ** 2, 0) / n);
    return column.map((value) => (value - mean) / scale);
  });
  let right = 0;
  let error = 0;
  for (let fold = 0; fold < n / 2; fold++) {
    const rows = labels.flatMap((_, i) => (i % (n / 2) === fold ? [] : [i]));
    const system = new Float64Array(k * k);
    const pull = new Float64Array(k);
    for (let a = 0; a < k; a++) {
      // The mean squared length of a scaled row is k: the unit of penalties.
      system[a * k + a]! += penalty * k;
      for (const row of rows) {
        pull[a]! += scaled[a]![row]! * labels[row]!;
        for (let b = 0; b < k; b++) system[a * k + b]! += scaled[a]![row]! * scaled[b]![row]!;
      }
    }
    const inverse = invertPositiveDefinite(system, k);
    for (const row of [fold, fold + n / 2]) {
      let predicted = 0;
      for (let a = 0; a < k; a++)
        for (let b = 0; b < k; b++) predicted += scaled[a]![row]! * inverse[a * k + b]! * pull[b]!;
      if (predicted * labels[row]! > 0) right++;
      error += (labels[row]! - predicted) ** 2;
    }
  }
  return { right, error };
}

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

  it('finds nothing to learn in noise: about half of the prompts, neither all nor none', () => {
    let right = 0;
    for (let draw = 0; draw < 20; draw++)
      right += fitLinearProbe(
        Array.from({ length: 40 }, () => sparse(noise())),
        labels,
      ).right;
    expect(right / (20 * 16)).toBeLessThan(0.62);
    expect(right / (20 * 16)).toBeGreaterThan(0.38);
  });

  it('of columns that do not vary, or of one prompt of a label, says nothing of prompts it has not seen', () => {
    expect(fitLinearProbe([sparse(labels.map(() => 1))], labels)).toMatchObject({ right: 0, total: 0 });
    expect(fitLinearProbe([sparse([1, 0, 0])], [1, -1, -1])).toMatchObject({ right: 0, total: 0 });
  });

  it('leaves pairs on one topic out together: what they share does not vouch for the wrong label', () => {
    const topics = Array.from({ length: 8 }, (_, topic) => labels.map((_label, i) => (i % 8 === topic ? 3 : 0)));
    const weak = labels.map((label) => Math.max(0, 1 + 0.8 * label + 0.3 * random.normal()));
    const { right, total } = fitLinearProbe([...topics, ...topics, weak].map(sparse), labels);
    expect(total).toBe(16);
    expect(right).toBeGreaterThanOrEqual(15);
  });

  it('counts prompts as a probe that was fitted without their fold would', () => {
    const dense = Array.from({ length: 6 }, noise);
    const { right, total } = fitLinearProbe(dense.map(sparse), labels);
    const counts = PENALTIES.map((penalty) => refitWithoutFolds(dense, labels, penalty));
    const best = counts.reduce((a, b) => (b.error < a.error ? b : a));
    expect({ right, total }).toEqual({ right: best.right, total: 16 });
  });
});
