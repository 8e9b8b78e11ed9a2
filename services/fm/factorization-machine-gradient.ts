/**
 * Mean loss of a factorization machine over some rows and its exact gradient, in one packed vector. Checked against finite
 * differences; a wrong sign here would still train to something, only never to the optimum.
 */
import type { DesignMatrix, Loss } from './design-matrix.js';
import { meanLogLoss, sigmoid } from './solve-ridge.js';

/** [w0, w (K), V (K * rank, row i = v_i)] */
export type PackedParameters = Float64Array;

/** The non-zero values of each row: row r is values[starts[r]..starts[r+1]]. */
export interface SparseRows {
  readonly rows: number;
  readonly count: number;
  readonly starts: Int32Array;
  readonly features: Int32Array;
  readonly values: Float64Array;
}

export interface PackedShape {
  readonly count: number;
  readonly rank: number;
  readonly loss: Loss;
}

export const packedLength = ({ count, rank }: PackedShape): number => 1 + count * (1 + rank);

/** Divides column k by scales[k]; a column whose scale is 0 (never varied) is left out. */
export function buildSparseRows({ rows, columns, values }: DesignMatrix, scales: Float64Array): SparseRows {
  const starts = new Int32Array(rows + 1);
  for (let row = 0; row < rows; row++) {
    let kept = 0;
    for (let k = 0; k < columns; k++) if (values[row * columns + k] !== 0 && scales[k] !== 0) kept++;
    starts[row + 1] = starts[row]! + kept;
  }
  const features = new Int32Array(starts[rows]!);
  const scaled = new Float64Array(starts[rows]!);
  for (let row = 0, next = 0; row < rows; row++)
    for (let k = 0; k < columns; k++) {
      const value = values[row * columns + k]!;
      if (value === 0 || scales[k] === 0) continue;
      features[next] = k;
      scaled[next++] = value / scales[k]!;
    }
  return { rows, count: columns, starts, features, values: scaled };
}

/** Prediction of one row; leaves sum_i v_if x_i in `sums` [rank]. */
export function predictPacked(
  shape: PackedShape,
  packed: PackedParameters,
  data: SparseRows,
  row: number,
  sums: Float64Array,
): number {
  const { count, rank } = shape;
  let linear = packed[0]!;
  let squares = 0;
  sums.fill(0);
  for (let p = data.starts[row]!; p < data.starts[row + 1]!; p++) {
    const k = data.features[p]!;
    const x = data.values[p]!;
    linear += packed[1 + k]! * x;
    const start = 1 + count + k * rank;
    for (let f = 0; f < rank; f++) {
      const term = packed[start + f]! * x;
      sums[f]! += term;
      squares += term * term;
    }
  }
  let products = 0;
  for (let f = 0; f < rank; f++) products += sums[f]! * sums[f]!;
  return linear + (products - squares) / 2;
}

/** Adds weight * (gradient of the loss of one row) to `gradient`. */
export function addRowGradient(
  shape: PackedShape,
  packed: PackedParameters,
  data: SparseRows,
  row: number,
  target: number,
  weight: number,
  sums: Float64Array,
  gradient: Float64Array,
): void {
  const { count, rank, loss } = shape;
  const prediction = predictPacked(shape, packed, data, row, sums);
  const slope = weight * (loss === 'squared' ? 2 * (prediction - target) : sigmoid(prediction) - target);
  gradient[0]! += slope;
  for (let p = data.starts[row]!; p < data.starts[row + 1]!; p++) {
    const k = data.features[p]!;
    const x = data.values[p]!;
    gradient[1 + k]! += slope * x;
    const start = 1 + count + k * rank;
    for (let f = 0; f < rank; f++) gradient[start + f]! += slope * x * (sums[f]! - packed[start + f]! * x);
  }
}

/** Mean squared error, or mean log-loss in nats. */
export function meanLoss(loss: Loss, predictions: Float64Array, target: Float64Array): number {
  if (loss === 'logistic') return meanLogLoss(predictions, target);
  let sum = 0;
  for (let r = 0; r < target.length; r++) sum += (predictions[r]! - target[r]!) ** 2;
  return sum / target.length;
}
