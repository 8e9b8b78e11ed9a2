/**
 * A ridge probe on SAE activations, harmful against harmless, in its dual form: there are thousands of features and a few dozen prompts, so
 * the unknowns are one a prompt, and how wide the SAEs are hardly counts. Columns are centred and scaled, so that a weight is the change
 * of the label for one standard deviation of the activation. The penalty is the one that predicts best the prompts left out, some of each
 * label at a time: for that the dual has a closed form, and it needs no seed. Prompts that stand at the same place of their label are left
 * out together, for prompt sets are often pairs on one topic, and the half that stays would vouch for the wrong label.
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
  /** Prompts that fall on their own side with the probe fitted on those of other folds (and the scaling of all); 0 of 0 if there are no two folds. */
  readonly right: number;
  readonly total: number;
}

/** Penalties in units of the mean eigenvalue, from nearly all shrinkage to hardly any. */
const PENALTIES: readonly number[] = Array.from({ length: 13 }, (_, step) => 10 ** (2 - step / 2));
/** As good as leaving out one of each label at a time, and cheap for any number of prompts. */
const MAX_FOLDS = 16;

/** @param labels 1 or -1, one a prompt. */
export function fitLinearProbe(columns: readonly SparseColumn[], labels: readonly number[]): LinearProbe {
  const n = labels.length;
  const scaled = columns.map((column) => scaleColumn(column, n));
  const gram = gramOf(columns, scaled, n);
  const unit = labels.reduce((sum, _, i) => sum + gram[i * n + i]!, 0) / n;
  if (unit === 0) return { weights: new Float64Array(columns.length), right: 0, total: 0 };
  const mean = labels.reduce((sum, label) => sum + label, 0) / n;
  const centred = labels.map((label) => label - mean);
  const folds = foldsOf(labels);
  const fits = PENALTIES.map((penalty) => fitDual(gram, centred, penalty * unit, folds));
  const { dual, missed } = fits.reduce((best, fit) => (fit.error < best.error ? fit : best));
  return {
    weights: Float64Array.from(columns, ({ rows, values }, c) => {
      const { scale } = scaled[c]!;
      return scale === 0 ? 0 : rows.reduce((sum, row, i) => sum + values[i]! * dual[row]!, 0) / scale;
    }),
    right: folds.flat().filter((i) => (centred[i]! - missed[i]!) * labels[i]! > 0).length,
    total: folds.flat().length,
  };
}

/** Rows by fold, each fold with its part of both labels; none with fewer than two of a label. */
function foldsOf(labels: readonly number[]): number[][] {
  const byLabel = [1, -1].map((label) => labels.flatMap((own, i) => (own === label ? [i] : [])));
  const count = Math.min(MAX_FOLDS, ...byLabel.map((rows) => rows.length));
  if (count < 2) return [];
  return Array.from({ length: count }, (_, fold) =>
    byLabel.flatMap((rows) => rows.filter((_row, place) => Math.floor((place * count) / rows.length) === fold)),
  );
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
  /** Label minus prediction of the fit without the prompt's fold. */
  readonly missed: Float64Array;
  /** Mean square of these; 0 without folds, so that the first penalty, nearly all shrinkage, stands. */
  readonly error: number;
}

/** dual = A y, A = (K + penalty I)^-1. The residuals of a fold F that was left out are A_FF^-1 dual_F. */
function fitDual(
  gram: Float64Array,
  centred: readonly number[],
  penalty: number,
  folds: readonly (readonly number[])[],
): DualFit {
  const n = centred.length;
  const system = gram.slice();
  for (let i = 0; i < n; i++) system[i * n + i]! += penalty;
  const inverse = invertPositiveDefinite(system, n);
  const dual = multiply(inverse, Float64Array.from(centred));
  const missed = new Float64Array(n);
  for (const fold of folds) {
    const block = Float64Array.from(fold.flatMap((row) => fold.map((column) => inverse[row * n + column]!)));
    const part = Float64Array.from(fold, (row) => dual[row]!);
    const residuals = multiply(invertPositiveDefinite(block, fold.length), part);
    for (const [i, row] of fold.entries()) missed[row] = residuals[i]!;
  }
  return { dual, missed, error: missed.reduce((sum, value) => sum + value * value, 0) / n };
}

/** `matrix` [n, n] times a vector of n. */
function multiply(matrix: Float64Array, vector: Float64Array): Float64Array {
  const n = vector.length;
  return vector.map((_, i) => {
    let sum = 0;
    for (let j = 0; j < n; j++) sum += matrix[i * n + j]! * vector[j]!;
    return sum;
  });
}
