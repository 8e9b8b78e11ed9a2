/**
 * Where interactions can be seen before any was fitted: in M_ij = mean_r(e_r z_ri z_rj), the products that the errors still
 * follow. Its top eigenvalue tells the largest useful penalty, its largest entry the pair to begin a factor with.
 */

import type { SeededRandom } from '../../shared/random/seeded-random.js';
import { addScaled, column, type DescentState } from './fit-by-coordinate-descent.js';
import { dot } from './product-columns.js';
import type { ColumnData } from './standardise.js';
import { OPERATIONS_PER_STEP, type Steps } from './steps.js';

/** A pair, and how its product follows the errors. */
export interface PairStart {
  readonly first: number;
  readonly second: number;
  /** M_ij: near V = 0 the best coefficient of z_i z_j. */
  readonly size: number;
}

/** The pair of largest |M_ij| that no factor began with yet; undefined when there is none. Costs rows * K^2 / 2. */
export function* findStrongestPair(state: DescentState, used: ReadonlySet<number>): Steps<PairStart | undefined> {
  const { data, errors } = state;
  const product = new Float64Array(data.rows);
  let best: PairStart | undefined;
  let operations = 0;
  for (let first = 0; first < data.count; first++) {
    const z = column(data, first);
    for (let r = 0; r < data.rows; r++) product[r] = z[r]! * errors[r]!;
    for (let second = first + 1; second < data.count; second++) {
      operations += data.rows;
      if (operations > OPERATIONS_PER_STEP) {
        operations = 0;
        yield;
      }
      const size = dot(product, column(data, second)) / data.rows;
      if (Math.abs(size) > Math.abs(best?.size ?? 0) && !used.has(first * data.count + second))
        best = { first, second, size };
    }
  }
  return best;
}

/**
 * The largest l2Factors at which V = 0 is not yet the best: the top eigenvalue of M_ij = mean_r(e_r z_ri z_rj), i != j, as near
 * V = 0 the objective is const + sum_f (l2 |v_f|^2 - v_f^T M v_f). By power iteration, shifted to be positive.
 */
export function* findLargestPenalty({ data, errors }: DescentState, random: SeededRandom): Steps<number> {
  const own = Float64Array.from({ length: data.count }, (_, k) => {
    const z = column(data, k);
    return z.reduce((sum, value, r) => sum + value * value * errors[r]!, 0) / data.rows;
  });
  let vector = Float64Array.from({ length: data.count }, () => random.normal());
  let top = 0;
  let shift = 0;
  for (let iteration = 0; iteration < 60; iteration++) {
    const size = Math.sqrt(dot(vector, vector)) || 1;
    vector = vector.map((v) => v / size);
    const image = yield* multiplyByErrors(data, errors, vector);
    for (let k = 0; k < image.length; k++) image[k]! -= own[k]! * vector[k]!;
    top = dot(vector, image);
    // |M v| bounds how negative an eigenvalue can be among what the iteration has seen; shifting by it keeps the top one on top.
    shift = Math.max(shift, Math.sqrt(dot(image, image)));
    vector = vector.map((v, k) => image[k]! + shift * v);
  }
  return Math.max(top, 0);
}

function* multiplyByErrors(data: ColumnData, errors: Float64Array, vector: Float64Array): Steps<Float64Array> {
  const rows = new Float64Array(data.rows);
  const every = Math.ceil(OPERATIONS_PER_STEP / data.rows);
  for (let k = 0; k < data.count; k++) {
    addScaled(rows, column(data, k), vector[k]!);
    if (k % every === 0) yield;
  }
  for (let r = 0; r < rows.length; r++) rows[r]! *= errors[r]! / data.rows;
  const out = new Float64Array(data.count);
  for (let k = 0; k < data.count; k++) {
    out[k] = dot(column(data, k), rows);
    if (k % every === 0) yield;
  }
  return out;
}
