/** Rows as the solvers want them: standardised columns and target, always with the scaling measured on the rows that train. */
import { type FitData, takePart } from './fit-data.js';
import { type ColumnData, type ColumnScaling, measureColumns, measureTarget, standardise } from './standardise.js';

export interface PreparedRows {
  readonly data: ColumnData;
  /** [n] (target - unit.mean) / unit.scale; labels stay 0 and 1. */
  readonly target: Float64Array;
  readonly scaling: ColumnScaling;
  readonly unit: { readonly mean: number; readonly scale: number };
}

/** Training rows: their own means and spreads. */
export function prepareRows(fitData: FitData, rows: Int32Array): PreparedRows {
  const part = takePart(fitData, rows);
  const scaling = measureColumns(part.design, true);
  const unit = measureTarget(part.target, fitData.loss === 'squared');
  return {
    data: standardise(part.design, scaling),
    target: part.target.map((y) => (y - unit.mean) / unit.scale),
    scaling,
    unit,
  };
}

/** Other rows, by the scaling of the training rows. */
export function prepareHeldRows(fitData: FitData, rows: Int32Array, { scaling, unit }: PreparedRows): PreparedRows {
  const part = takePart(fitData, rows);
  const target = part.target.map((y) => (y - unit.mean) / unit.scale);
  return { data: standardise(part.design, scaling), target, scaling, unit };
}
