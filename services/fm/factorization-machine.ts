/**
 * The second-order factorization machine (Rendle, ICDM 2010):
 *
 *     y = w0 + sum_i w_i x_i + sum_{i<j} <v_i, v_j> x_i x_j
 *
 * computed as w0 + sum_i w_i x_i + 1/2 sum_f [(sum_i v_if x_i)^2 - sum_i v_if^2 x_i^2], which costs rank * (non-zeros) a row
 * where the double sum costs K^2. On ablation masks (x_i = 1: feature i ablated) <v_i, v_j> is the interaction itself, in the
 * unit of the refusal score.
 */
import { fault } from '../../shared/errors/fault.js';
import { assertDesign, type DesignMatrix, type Loss } from './design-matrix.js';
import type { ColumnScaling } from './standardise.js';

export interface FactorizationMachine {
  /** squared: `predict` gives a score; logistic: it gives the log-odds of label 1. */
  readonly loss: Loss;
  /** K, the number of features. */
  readonly columns: number;
  readonly rank: number;
  readonly intercept: number;
  /** [K] */
  readonly weights: Float64Array;
  /** [K, rank] row-major: v_i is row i. Only the products <v_i, v_j> mean anything; V itself is known up to a rotation. */
  readonly factors: Float64Array;
}

/** What every surrogate can say, whatever it is inside. */
export interface Surrogate {
  readonly loss: Loss;
  readonly columns: number;
  readonly intercept: number;
  readonly weights: Float64Array;
  /** Coefficient of x_i x_j, i != j, in the unit of the target; 0 where the model has none. */
  pairWeight(first: number, second: number): number;
  /** [n] scores or log-odds. Throws SHAPE_MISMATCH for a design of another width. */
  predict(design: DesignMatrix): Float64Array;
}

/** <v_i, v_j> */
export function pairWeight({ factors, rank }: FactorizationMachine, first: number, second: number): number {
  let sum = 0;
  for (let f = 0; f < rank; f++) sum += factors[first * rank + f]! * factors[second * rank + f]!;
  return sum;
}

/** [n] scores or log-odds, in float64. Throws SHAPE_MISMATCH for a design of another width and NOT_FINITE for a NaN in it. */
export function predict(machine: FactorizationMachine, design: DesignMatrix): Float64Array {
  assertWidth(machine.columns, design);
  const out = new Float64Array(design.rows);
  const sums = new Float64Array(machine.rank);
  for (let row = 0; row < design.rows; row++) out[row] = predictRow(machine, design, row, sums);
  return out;
}

function predictRow(machine: FactorizationMachine, design: DesignMatrix, row: number, sums: Float64Array): number {
  const { columns, rank, weights, factors } = machine;
  const start = row * columns;
  let linear = machine.intercept;
  let squares = 0;
  sums.fill(0);
  for (let i = 0; i < columns; i++) {
    const x = design.values[start + i]!;
    if (x === 0) continue;
    linear += weights[i]! * x;
    for (let f = 0; f < rank; f++) {
      const term = factors[i * rank + f]! * x;
      sums[f]! += term;
      squares += term * term;
    }
  }
  let products = 0;
  for (let f = 0; f < rank; f++) products += sums[f]! * sums[f]!;
  return linear + (products - squares) / 2;
}

export const asSurrogate = (machine: FactorizationMachine): Surrogate => ({
  loss: machine.loss,
  columns: machine.columns,
  intercept: machine.intercept,
  weights: machine.weights,
  pairWeight: (first, second) => pairWeight(machine, first, second),
  predict: (design) => predict(machine, design),
});

export function assertWidth(columns: number, design: DesignMatrix): void {
  assertDesign(design);
  if (design.columns !== columns)
    throw fault(
      'SHAPE_MISMATCH',
      `the rows have ${design.columns} features and the model was fitted to ${columns}; give the same features`,
    );
}

/**
 * The same function, of raw columns: for z = (x - c) / s and a target in units of `target.scale` around `target.mean`.
 * Exact, because an affine map of the columns keeps the form of a factorization machine: u_i = v_i / s_i, and the products
 * with c_j move into the main effects and the intercept.
 */
export function foldBack(
  machine: FactorizationMachine,
  { means, scales }: ColumnScaling,
  target: { readonly mean: number; readonly scale: number },
): FactorizationMachine {
  const { columns, rank } = machine;
  const factors = new Float64Array(columns * rank);
  const sums = new Float64Array(rank);
  let squares = 0;
  for (let i = 0; i < columns; i++)
    for (let f = 0; f < rank; f++) {
      const u = scales[i] === 0 ? 0 : (machine.factors[i * rank + f]! * Math.sqrt(target.scale)) / scales[i]!;
      factors[i * rank + f] = u;
      sums[f]! += u * means[i]!;
      squares += (u * means[i]!) ** 2;
    }
  const pairsAtMean = (sums.reduce((sum, q) => sum + q * q, 0) - squares) / 2;
  const weights = new Float64Array(columns);
  let intercept = target.mean + target.scale * machine.intercept + pairsAtMean;
  for (let i = 0; i < columns; i++) {
    const own = scales[i] === 0 ? 0 : (target.scale * machine.weights[i]!) / scales[i]!;
    let withOthers = 0;
    for (let f = 0; f < rank; f++) {
      const u = factors[i * rank + f]!;
      withOthers += u * (sums[f]! - u * means[i]!);
    }
    weights[i] = own - withOthers;
    intercept -= own * means[i]!;
  }
  return { loss: machine.loss, columns, rank, intercept, weights, factors };
}
