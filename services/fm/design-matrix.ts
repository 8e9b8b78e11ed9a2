/**
 * The data of a fit: rows of feature values (ablation masks, or SAE activations) and one target a row. Checked once, here,
 * so that a NaN, a ragged row or a target that never varies is named at the door and never becomes a plausible number.
 */
import { fault } from '../../shared/errors/fault.js';

/** n rows of K feature values. */
export interface DesignMatrix {
  readonly rows: number;
  readonly columns: number;
  /** [n, K] row-major: 1 = ablated, 0 = intact (causal mode), or an activation (paper mode). */
  readonly values: Float32Array;
}

/** What is minimised: squared error of a score, or log-loss of a 0/1 label whose log-odds are predicted. */
export type Loss = 'squared' | 'logistic';

export const MAX_CELLS = 1 << 26;

/** Builds a design from rows of equal length. Throws MASK_WRONG_LENGTH for a ragged row, NOT_FINITE for a NaN. */
export function buildDesign(rows: readonly ArrayLike<number>[]): DesignMatrix {
  const columns = rows[0]?.length ?? 0;
  const values = new Float32Array(rows.length * columns);
  rows.forEach((row, i) => {
    if (row.length !== columns)
      throw fault(
        'MASK_WRONG_LENGTH',
        `row ${i} has ${row.length} values and row 0 has ${columns}; all rows need the same`,
      );
    values.set(row, i * columns);
  });
  const design = { rows: rows.length, columns, values };
  assertDesign(design);
  return design;
}

/** Throws REQUEST_INVALID (empty), SHAPE_MISMATCH (wrong length), REQUEST_TOO_LARGE or NOT_FINITE. */
export function assertDesign({ rows, columns, values }: DesignMatrix): void {
  if (!(Number.isInteger(rows) && Number.isInteger(columns) && rows > 0 && columns > 0))
    throw fault('REQUEST_INVALID', `the design has ${rows} rows of ${columns} features; both must be at least 1`);
  if (rows * columns > MAX_CELLS)
    throw fault(
      'REQUEST_TOO_LARGE',
      `${rows} rows of ${columns} features are more than ${MAX_CELLS} values; use fewer of either`,
    );
  if (values.length !== rows * columns)
    throw fault(
      'SHAPE_MISMATCH',
      `the design has ${values.length} values; ${rows} rows of ${columns} features need ${rows * columns}`,
    );
  const bad = values.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0)
    throw fault(
      'NOT_FINITE',
      `feature ${bad % columns} of row ${Math.floor(bad / columns)} is ${values[bad]}; every value must be finite`,
    );
}

/** Throws SHAPE_MISMATCH, NOT_FINITE, or REQUEST_INVALID for a label that is neither 0 nor 1. */
export function assertTarget(target: ArrayLike<number>, rows: number, loss: Loss): void {
  if (target.length !== rows)
    throw fault('SHAPE_MISMATCH', `there are ${target.length} targets for ${rows} rows; each row needs one`);
  for (let i = 0; i < rows; i++) {
    const value = target[i]!;
    if (!Number.isFinite(value))
      throw fault('NOT_FINITE', `the target of row ${i} is ${value}; every target must be finite`);
    if (loss === 'logistic' && value !== 0 && value !== 1)
      throw fault('REQUEST_INVALID', `the label of row ${i} is ${value}; labels are 1 (harmful) or 0 (harmless)`);
  }
}

/** Throws REQUEST_INVALID when the training targets are all alike: nothing could be learned from them. */
export function assertVaries(target: ArrayLike<number>, part: string): void {
  for (let i = 1; i < target.length; i++) if (target[i] !== target[0]) return;
  throw fault(
    'REQUEST_INVALID',
    `all ${target.length} targets of the ${part} rows are ${target[0]}: there is nothing to fit; give rows whose targets differ`,
  );
}

/** A copy of the named rows, in the order given. */
export function takeRows(design: DesignMatrix, indices: Int32Array): DesignMatrix {
  const { columns } = design;
  const values = new Float32Array(indices.length * columns);
  indices.forEach((row, i) => {
    values.set(design.values.subarray(row * columns, (row + 1) * columns), i * columns);
  });
  return { rows: indices.length, columns, values };
}

/** The named targets as float64, in the order given. */
export const takeTargets = (target: ArrayLike<number>, indices: Int32Array): Float64Array =>
  Float64Array.from(indices, (row) => target[row]!);
