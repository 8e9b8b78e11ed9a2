/**
 * How good a fit is on rows that it never saw. A measure that cannot be computed is `undefined`, with the reason named in its
 * comment: an R2 of 0 or an accuracy of 0 would be read as a finding.
 */
import { fault } from '../../shared/errors/fault.js';
import type { Loss } from './design-matrix.js';
import type { Surrogate } from './factorization-machine.js';
import { type FitData, takePart } from './fit-data.js';
import { meanLogLoss } from './solve-ridge.js';

export interface FitQuality {
  /** Rows measured on. */
  readonly rows: number;
  /** 1 - SS_residual / SS_total around the mean of these rows; undefined when their target is constant or there is one row. */
  readonly r2?: number;
  /** Root of the mean squared error, in the unit of the target. Squared loss only. */
  readonly rootMeanSquare?: number;
  /** Share of rows on the right side of 0: labels (logistic), or the sign of the score: refused or not (squared). */
  readonly accuracy?: number;
  /** The larger share of one side: the accuracy of always saying the same. */
  readonly majorityShare?: number;
  /** Mean -log p(label), nats. Logistic only. */
  readonly logLoss?: number;
}

export function evaluateFit(loss: Loss, predicted: ArrayLike<number>, target: ArrayLike<number>): FitQuality {
  const rows = target.length;
  if (predicted.length !== rows)
    throw fault(
      'SHAPE_MISMATCH',
      `there are ${predicted.length} predictions for ${rows} targets; each target needs one`,
    );
  const given = Float64Array.from(target);
  const told = Float64Array.from(predicted);
  const bad = told.findIndex((value, row) => !Number.isFinite(value) || !Number.isFinite(given[row]!));
  if (bad >= 0)
    throw fault('NOT_FINITE', `row ${bad} has prediction ${told[bad]} and target ${given[bad]}; both must be finite`);
  if (rows === 0) return { rows };
  const border = loss === 'logistic' ? 0.5 : 0;
  const above = given.reduce((sum, y) => sum + (y > border ? 1 : 0), 0);
  const right = given.reduce((sum, y, row) => sum + (y > border === told[row]! > 0 ? 1 : 0), 0);
  const sides = { accuracy: right / rows, majorityShare: Math.max(above, rows - above) / rows };
  if (loss === 'logistic') return { rows, ...sides, logLoss: meanLogLoss(told, given) };
  const mean = given.reduce((sum, y) => sum + y, 0) / rows;
  const total = given.reduce((sum, y) => sum + (y - mean) ** 2, 0);
  const residual = given.reduce((sum, y, row) => sum + (y - told[row]!) ** 2, 0);
  const r2 = given.some((y) => y !== given[0]) ? { r2: 1 - residual / total } : {};
  return { rows, ...sides, ...r2, rootMeanSquare: Math.sqrt(residual / rows) };
}

/** The quality of one model on the three parts of the split; only `test` was never seen nor chosen on. */
export interface SplitQuality {
  readonly train: FitQuality;
  readonly validation: FitQuality;
  readonly test: FitQuality;
}

export function evaluateOnSplit(model: Surrogate, data: FitData): SplitQuality {
  const measure = (rows: Int32Array): FitQuality => {
    if (rows.length === 0) return { rows: 0 };
    const part = takePart(data, rows);
    return evaluateFit(data.loss, model.predict(part.design), part.target);
  };
  const { train, validation, test } = data.split;
  return { train: measure(train), validation: measure(validation), test: measure(test) };
}
