/** A linear model with an explicit list of pair terms: what all-pairs regression and boosted trees end in. */
import { assertWidth, type Surrogate } from './factorization-machine.js';
import type { PreparedRows } from './prepare-rows.js';

export interface PairwiseModel {
  /** K */
  readonly columns: number;
  readonly intercept: number;
  /** [K] */
  readonly weights: Float64Array;
  /** The pairs whose coefficient is not 0: [i, j, coefficient], i < j, in the unit of the target. */
  readonly pairs: readonly (readonly [number, number, number])[];
}

/**
 * From weights of standardised terms (intercept, K main effects, then `pairs`) to a model of raw columns. The product of two
 * centred columns is x_i x_j - c_j x_i - c_i x_j + c_i c_j, divided by both scales; the extra parts move down an order.
 */
export function buildPairwiseModel(
  standardised: Float64Array,
  pairs: readonly (readonly [number, number])[],
  { scaling, unit }: Pick<PreparedRows, 'scaling' | 'unit'>,
): PairwiseModel {
  const { means, scales } = scaling;
  const columns = means.length;
  const weights = new Float64Array(columns);
  let intercept = unit.mean + unit.scale * standardised[0]!;
  for (let k = 0; k < columns; k++) {
    const own = scales[k] === 0 ? 0 : (unit.scale * standardised[1 + k]!) / scales[k]!;
    weights[k]! += own;
    intercept -= own * means[k]!;
  }
  const kept: [number, number, number][] = [];
  pairs.forEach(([i, j], p) => {
    const own = standardised[1 + columns + p]!;
    if (own === 0 || scales[i] === 0 || scales[j] === 0) return;
    const raw = (unit.scale * own) / scales[i]! / scales[j]!;
    kept.push([i, j, raw]);
    weights[i]! -= raw * means[j]!;
    weights[j]! -= raw * means[i]!;
    intercept += raw * means[i]! * means[j]!;
  });
  return { columns, intercept, weights, pairs: kept };
}

export function asPairwiseSurrogate({ columns, intercept, weights, pairs }: PairwiseModel): Surrogate {
  const byPair = new Map(pairs.map(([i, j, weight]) => [i * columns + j, weight]));
  return {
    loss: 'squared',
    columns,
    intercept,
    weights,
    pairWeight: (first, second) => byPair.get(Math.min(first, second) * columns + Math.max(first, second)) ?? 0,
    predict: (design) => {
      assertWidth(columns, design);
      return Float64Array.from({ length: design.rows }, (_, row) => {
        const x = design.values.subarray(row * columns, (row + 1) * columns);
        let sum = intercept;
        for (let k = 0; k < columns; k++) sum += weights[k]! * x[k]!;
        for (const [i, j, weight] of pairs) sum += weight * x[i]! * x[j]!;
        return sum;
      });
    },
  };
}
