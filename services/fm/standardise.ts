/**
 * Columns with mean 0 and variance 1. On 0/1 masks a product x_i x_j is nearly a copy of x_i and x_j; on centred columns it is
 * almost uncorrelated with both, so that coordinate descent converges in a few passes and a penalty on interactions leaves
 * main effects alone. A factorization machine of centred columns is exactly one of the raw columns (see `foldBack` there).
 */
import type { DesignMatrix } from './design-matrix.js';

export interface ColumnScaling {
  /** [K] subtracted first. */
  readonly means: Float64Array;
  /** [K] divided by; 0 marks a column that never varied in training: it is read as 0. */
  readonly scales: Float64Array;
}

/** n rows in column-major order, float64. */
export interface ColumnData {
  readonly rows: number;
  readonly count: number;
  /** [K, n] */
  readonly columns: Float64Array;
}

/** Means (0 where `centre` is false) and standard deviations (divisor n) of the columns. */
export function measureColumns({ rows, columns, values }: DesignMatrix, centre: boolean): ColumnScaling {
  const means = new Float64Array(columns);
  const scales = new Float64Array(columns);
  for (let i = 0; i < values.length; i++) means[i % columns]! += values[i]! / rows;
  for (let i = 0; i < values.length; i++) scales[i % columns]! += (values[i]! - means[i % columns]!) ** 2 / rows;
  // A spread below 1e-7 of the mean is float32 rounding of a constant.
  for (let k = 0; k < columns; k++) {
    const spread = Math.sqrt(scales[k]!);
    scales[k] = spread > 1e-7 * Math.abs(means[k]!) && spread > 0 ? spread : 0;
  }
  return { means: centre ? means : new Float64Array(columns), scales };
}

/** Applies a scaling measured on the training rows to any rows. */
export function standardise({ rows, columns: count, values }: DesignMatrix, scaling: ColumnScaling): ColumnData {
  const columns = new Float64Array(rows * count);
  for (let k = 0; k < count; k++) {
    const scale = scaling.scales[k]!;
    if (scale === 0) continue;
    const mean = scaling.means[k]!;
    for (let i = 0; i < rows; i++) columns[k * rows + i] = (values[i * count + k]! - mean) / scale;
  }
  return { rows, count, columns };
}

/** Mean and standard deviation of a target; for a 0/1 label the identity, as log-odds have no unit to take out. */
export function measureTarget(target: Float64Array, standard: boolean): { mean: number; scale: number } {
  if (!standard) return { mean: 0, scale: 1 };
  const mean = target.reduce((sum, y) => sum + y, 0) / target.length;
  const scale = Math.sqrt(target.reduce((sum, y) => sum + (y - mean) ** 2, 0) / target.length);
  return { mean, scale: scale || 1 };
}
