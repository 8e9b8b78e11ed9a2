/**
 * Alternating least squares for a factorization machine under squared loss (Rendle et al., SIGIR 2011). The prediction is
 * linear in each single parameter, so each update is the exact minimum along it and needs no learning rate. Objective:
 *
 *     mean_r e_r^2 + l2Linear * |w|^2 + l2Factors * |V|^2 + 2 l1Factors * |V|_1,    e = y - prediction
 *
 * The penalty on V acts on interactions like a trace norm (for one pair, l2 (a^2 + b^2) >= 2 l2 |ab|): it shrinks weak
 * interactions to nothing and keeps strong ones. With l1Factors, V itself becomes sparse: far fewer rows then suffice where few
 * features interact.
 */

import type { SeededRandom } from '../../shared/random/seeded-random.js';
import { dot } from './product-columns.js';
import type { ColumnData } from './standardise.js';
import { OPERATIONS_PER_STEP, type Steps } from './steps.js';

/** A machine of standardised columns while it is being fitted; all parts change in place. */
export interface DescentState {
  readonly data: ColumnData;
  readonly target: Float64Array;
  readonly rank: number;
  intercept: number;
  /** [K] */
  readonly weights: Float64Array;
  /** [rank, K]: factor f of all features is contiguous. */
  readonly factors: Float64Array;
  /** [n] target minus prediction. */
  readonly errors: Float64Array;
}

export interface Penalties {
  readonly l2Linear: number;
  readonly l2Factors: number;
  /** Penalty on each |v_if|; 0 unless factors are grown one by one. */
  readonly l1Factors: number;
}

export function createDescent(data: ColumnData, target: Float64Array, rank: number): DescentState {
  return {
    data,
    target,
    rank,
    intercept: 0,
    weights: new Float64Array(data.count),
    factors: new Float64Array(data.count * rank),
    errors: target.slice(),
  };
}

/** Adds noise of the given spread to V. V = 0 is a stationary point of the objective: without noise nothing would ever move. */
export function perturbFactors(state: DescentState, random: SeededRandom, spread: number): void {
  for (let p = 0; p < state.factors.length; p++) state.factors[p]! += spread * random.normal();
}

/** [n] predictions over any rows of the same columns. */
export function* predictColumns(state: DescentState, data: ColumnData): Steps<Float64Array> {
  const out = new Float64Array(data.rows).fill(state.intercept);
  for (let k = 0; k < data.count; k++) addScaled(out, column(data, k), state.weights[k]!);
  const sums = new Float64Array(data.rows);
  for (let f = 0; f < state.rank; f++) {
    sums.fill(0);
    for (let k = 0; k < data.count; k++) {
      const v = state.factors[f * data.count + k]!;
      if (v === 0) continue;
      const z = column(data, k);
      for (let r = 0; r < data.rows; r++) {
        const term = v * z[r]!;
        sums[r]! += term;
        out[r]! -= (term * term) / 2;
      }
      if ((k * data.rows) % OPERATIONS_PER_STEP < data.rows) yield;
    }
    for (let r = 0; r < data.rows; r++) out[r]! += (sums[r]! * sums[r]!) / 2;
    yield;
  }
  return out;
}

/** Brings `errors` in line with the parameters: after V was perturbed, and against rounding that adds up over epochs. */
export function* refreshErrors(state: DescentState): Steps<void> {
  const predictions = yield* predictColumns(state, state.data);
  for (let r = 0; r < predictions.length; r++) state.errors[r] = state.target[r]! - predictions[r]!;
}

export interface DescentLimits {
  /** Passes at most. */
  readonly epochs: number;
  /** The objective is settled when a pass lowers it by less than this share of itself. */
  readonly tolerance: number;
  /** Leave every v_if that is 0 at 0. */
  readonly frozen?: boolean;
}

/** Passes until the objective settles or `epochs` is reached. Returns how many. */
export function* descend(
  state: DescentState,
  penalties: Penalties,
  { epochs, tolerance, frozen = false }: DescentLimits,
): Steps<number> {
  let before = Number.POSITIVE_INFINITY;
  for (let epoch = 1; epoch <= epochs; epoch++) {
    const objective = yield* descendOnce(state, penalties, frozen);
    if (epoch > 1 && before - objective <= tolerance * before) return epoch;
    before = objective;
  }
  return epochs;
}

/** One pass over all parameters. Returns the objective after it. */
export function* descendOnce(state: DescentState, penalties: Penalties, frozen = false): Steps<number> {
  const { data, errors } = state;
  const mean = errors.reduce((sum, e) => sum + e, 0) / data.rows;
  state.intercept += mean;
  for (let r = 0; r < data.rows; r++) errors[r]! -= mean;
  for (let k = 0; k < data.count; k++) {
    updateWeight(state, k, penalties.l2Linear);
    if ((k * data.rows) % OPERATIONS_PER_STEP < data.rows) yield;
  }
  const sums = new Float64Array(data.rows);
  for (let f = 0; f < state.rank; f++) {
    const factor = state.factors.subarray(f * data.count, (f + 1) * data.count);
    // All zero is a stationary point: such a factor waits for a start.
    if (factor.every((v) => v === 0)) continue;
    sums.fill(0);
    for (let k = 0; k < data.count; k++) addScaled(sums, column(data, k), factor[k]!);
    yield;
    for (let k = 0; k < data.count; k++) {
      if (frozen && factor[k] === 0) continue;
      updateFactor(state, f, k, sums, penalties);
      if ((k * data.rows) % OPERATIONS_PER_STEP < data.rows) yield;
    }
  }
  return (
    dot(errors, errors) / data.rows +
    penalties.l2Linear * dot(state.weights, state.weights) +
    penalties.l2Factors * dot(state.factors, state.factors) +
    2 * penalties.l1Factors * state.factors.reduce((sum, v) => sum + Math.abs(v), 0)
  );
}

/** w_k <- argmin. The prediction changes by (change of w_k) * z_k. */
function updateWeight({ data, errors, weights }: DescentState, k: number, l2: number): void {
  const z = column(data, k);
  const size = dot(z, z);
  if (size === 0) return;
  const before = weights[k]!;
  const after = (dot(z, errors) + before * size) / (size + data.rows * l2);
  weights[k] = after;
  addScaled(errors, z, before - after);
}

/** v_kf <- argmin. The prediction changes by (change of v_kf) * h with h = z_k (sums_f - v_kf z_k), which v_kf is not in. */
function updateFactor(
  state: DescentState,
  f: number,
  k: number,
  sums: Float64Array,
  { l2Factors, l1Factors }: Penalties,
): void {
  const { data, errors, factors } = state;
  const z = column(data, k);
  const before = factors[f * data.count + k]!;
  let slope = 0;
  let size = 0;
  for (let r = 0; r < z.length; r++) {
    const h = z[r]! * (sums[r]! - before * z[r]!);
    slope += h * errors[r]!;
    size += h * h;
  }
  const divisor = size + z.length * l2Factors;
  if (divisor === 0) return;
  const pull = slope + before * size;
  const after = (Math.sign(pull) * Math.max(Math.abs(pull) - z.length * l1Factors, 0)) / divisor;
  const change = after - before;
  if (change === 0) return;
  factors[f * data.count + k] = after;
  for (let r = 0; r < z.length; r++) {
    errors[r]! -= change * z[r]! * (sums[r]! - before * z[r]!);
    sums[r]! += change * z[r]!;
  }
}

/** Values of feature k in all rows. */
export const column = ({ columns, rows }: ColumnData, k: number): Float64Array =>
  columns.subarray(k * rows, (k + 1) * rows);

export function addScaled(out: Float64Array, values: Float64Array, by: number): void {
  if (by === 0) return;
  for (let r = 0; r < out.length; r++) out[r]! += by * values[r]!;
}
