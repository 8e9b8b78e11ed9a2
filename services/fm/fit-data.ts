/** What every surrogate is fitted to: one design, one target, one split, so that models are only ever compared on the same rows. */
import { fault } from '../../shared/errors/fault.js';
import {
  assertDesign,
  assertTarget,
  assertVaries,
  type DesignMatrix,
  type Loss,
  takeRows,
  takeTargets,
} from './design-matrix.js';
import type { RowSplit } from './split-rows.js';

export interface FitData {
  readonly design: DesignMatrix;
  /** [n] refusal scores (squared) or labels 0/1 (logistic). */
  readonly target: ArrayLike<number>;
  readonly loss: Loss;
  readonly split: RowSplit;
}

/** The rows of one part of the split. */
export interface DataPart {
  readonly design: DesignMatrix;
  /** [rows] */
  readonly target: Float64Array;
}

/** Throws what assertDesign and assertTarget throw, and REQUEST_INVALID for a split of other rows or a constant training target. */
export function assertFitData({ design, target, loss, split }: FitData): void {
  assertDesign(design);
  assertTarget(target, design.rows, loss);
  const seen = new Uint8Array(design.rows);
  for (const part of [split.train, split.validation, split.test])
    for (const row of part) {
      if (!(row < design.rows) || seen[row])
        throw fault(
          'REQUEST_INVALID',
          `the split names row ${row} twice or past the ${design.rows} rows; split these rows anew`,
        );
      seen[row] = 1;
    }
  if (split.train.length === 0 || split.validation.length === 0)
    throw fault('REQUEST_INVALID', 'the split has no training or no validation rows; give more rows');
  assertVaries(takeTargets(target, split.train), 'training');
}

export const takePart = (data: FitData, rows: Int32Array): DataPart => ({
  design: takeRows(data.design, rows),
  target: takeTargets(data.target, rows),
});

/** Training and validation rows together, for the last fit once everything is chosen. */
export const trainAndValidation = (split: RowSplit): Int32Array =>
  Int32Array.from([...split.train, ...split.validation]).sort();
