/**
 * A ridge probe on SAE activations, harmful against harmless, in its dual form: there are thousands of features and a few dozen prompts, so
 * the unknowns are one a prompt, and how wide the SAEs are hardly counts. Columns are centred and scaled, so that a weight is the change
 * of the label for one standard deviation of the activation. The penalty is the one that predicts prompts left out best: leave one out
 * has a closed form here and needs neither a split nor a seed.
 */
import { invertPositiveDefinite } from './positive-definite.js';

/** One feature's activations, the prompts where it is zero left out. */
export interface SparseColumn {
  readonly rows: readonly number[];
  readonly values: readonly number[];
}

export interface LinearProbe {
  /** One a column; 0 for a column that is the same on every prompt. */
  readonly weights: Float64Array;
  /** Prompts that fall on their own side with the probe fitted on the others (and the scaling of all). */
  readonly right: number;
  readonly total: number;
}

/** Penalties in units of the mean eigenvalue, from nearly all shrinkage to hardly any. */
const PENALTIES: readonly number[] = Array.from({ length: 13 }, (_, step) => 10 ** (2 - step / 2));
/** Below this a prompt's own weight in its prediction is rounding, and what is left out cannot be told. */
const LEAST_LEFT = 1e-9;

/** @param labels 1 or -1, one a prompt. */
export function fitLinearProbe(columns: readonly SparseColumn[], labels: readonly number[]): LinearProbe {
  const n = labels.length;
  const scaled = columns.map((column) => scaleColumn(column, n));
  const gram = gramOf(columns, scaled, n);
  const unit = labels.reduce((sum, _, i) => sum + gram[i * n + i]!, 0) / n;
  const mean = labels.reduce((sum, label) => sum + label, 0) / n;
  if (unit === 0) return { weights: new Float64Array(columns.length), right: 0, total: n };
  let best: DualFit | undefined;
  for (const penalty of PENALTIES) {
    const fit = fitDual(gram, labels, mean, penalty * unit);
    if (best === undefined || fit.error < best.error) best = fit;
  }
  const { dual, predicted } = best!;
  return {
    weights: Float64Array.from(columns, ({ rows, values }, c) => {
      const { scale } = scaled[c]!;
      return scale === 0 ? 0 : rows.reduce((sum, row, i) => sum + values[i]! * dual[row]!, 0) / scale;
    }),
    right: labels.filter((label, i) => predicted[i]! * label > 0).length,
    total: n,
  };
}

interface Scaled {
  readonly mean: number;
  /** Standard deviation; 0 where the column does not vary. */
  readonly scale: number;
}

function scaleColumn({ values }: SparseColumn, n: number): Scaled {
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, (n - values.length) * mean * mean);
  const scale = Math.sqrt(squares / n);
  // Rounding alone is no variation.
  return { mean, scale: scale > 1e-9 * Math.abs(mean) ? scale : 0 };
}

/** Z Z^T of the centred and scaled columns, [n, n], column by column over what is not zero. */
function gramOf(columns: readonly SparseColumn[], scaled: readonly Scaled[], n: number): Float64Array {
  const gram = new Float64Array(n * n);
  const shifts = new Float64Array(n);
  let common = 0;
  for (const [c, { rows, values }] of columns.entries()) {
    const { mean, scale } = scaled[c]!;
    if (scale === 0) continue;
    common += (mean / scale) ** 2;
    for (const [i, row] of rows.entries()) {
      const value = values[i]! / scale;
      shifts[row]! += (value * mean) / scale;
      for (const [j, other] of rows.entries()) gram[row * n + other]! += (value * values[j]!) / scale;
    }
  }
  for (let a = 0; a < n; a++) for (let b = 0; b < n; b++) gram[a * n + b]! += common - shifts[a]! - shifts[b]!;
  return gram;
}

interface DualFit {
  /** w = Z^T dual. */
  readonly dual: Float64Array;
  /** Of each prompt, by the fit without it. */
  readonly predicted: Float64Array;
  /** Mean square of what was left out and missed. */
  readonly error: number;
}

/** (K + penalty I)^-1 (y - mean). As K is centred, the residual of a prompt that was left out is penalty dual_i / (penalty A_ii - 1/n). */
function fitDual(gram: Float64Array, labels: readonly number[], mean: number, penalty: number): DualFit {
  const n = labels.length;
  const system = gram.slice();
  for (let i = 0; i < n; i++) system[i * n + i]! += penalty;
  const inverse = invertPositiveDefinite(system, n);
  const dual = new Float64Array(n);
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) dual[i]! += inverse[i * n + j]! * (labels[j]! - mean);
  let error = 0;
  const predicted = Float64Array.from(labels, (label, i) => {
    const left = penalty * inverse[i * n + i]! - 1 / n;
    const missed = (penalty * dual[i]!) / left;
    error += left > LEAST_LEFT ? (missed * missed) / n : Number.POSITIVE_INFINITY;
    return left > LEAST_LEFT ? label - missed : Number.NaN;
  });
  return { dual, predicted, error };
}
