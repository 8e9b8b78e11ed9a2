/**
 * A linear model over main effects z_i and products z_i z_j without ever storing the products: n x K(K-1)/2 numbers would be
 * gigabytes at K = 200. Every solver of the linear models works through this one view.
 */
import type { ColumnData } from './standardise.js';
import { OPERATIONS_PER_STEP, type Steps } from './steps.js';

/** Term t is 1 (first = -1), z_first (second = -1), or z_first * z_second. */
export interface ProductColumns {
  readonly data: ColumnData;
  readonly terms: number;
  readonly first: Int32Array;
  readonly second: Int32Array;
}

/** The intercept, then all K main effects, then the named pairs. */
export function buildProductColumns(
  data: ColumnData,
  pairs: readonly (readonly [number, number])[] = [],
): ProductColumns {
  const terms = 1 + data.count + pairs.length;
  const first = new Int32Array(terms).fill(-1);
  const second = new Int32Array(terms).fill(-1);
  for (let k = 0; k < data.count; k++) first[1 + k] = k;
  pairs.forEach(([i, j], p) => {
    first[1 + data.count + p] = i;
    second[1 + data.count + p] = j;
  });
  return { data, terms, first, second };
}

/** All pairs i < j of K features. */
export function listPairs(count: number): [number, number][] {
  const pairs: [number, number][] = [];
  for (let i = 0; i < count; i++) for (let j = i + 1; j < count; j++) pairs.push([i, j]);
  return pairs;
}

/** The same terms over other rows (validation rows, say). */
export const withData = (columns: ProductColumns, data: ColumnData): ProductColumns => ({ ...columns, data });

/** Writes term t of every row into `out` [n]. */
export function writeTerm({ data, first, second }: ProductColumns, term: number, out: Float64Array): void {
  const { rows, columns } = data;
  const i = first[term]!;
  const j = second[term]!;
  if (i < 0) out.fill(1);
  else if (j < 0) out.set(columns.subarray(i * rows, (i + 1) * rows));
  else {
    const a = columns.subarray(i * rows, (i + 1) * rows);
    const b = columns.subarray(j * rows, (j + 1) * rows);
    for (let r = 0; r < rows; r++) out[r] = a[r]! * b[r]!;
  }
}

/** X w: one number a row. */
export function* multiply(columns: ProductColumns, weights: Float64Array): Steps<Float64Array> {
  const { rows } = columns.data;
  const out = new Float64Array(rows);
  const term = new Float64Array(rows);
  const every = Math.ceil(OPERATIONS_PER_STEP / (2 * rows));
  for (let t = 0; t < columns.terms; t++) {
    const weight = weights[t]!;
    if (weight !== 0) {
      writeTerm(columns, t, term);
      for (let r = 0; r < rows; r++) out[r]! += weight * term[r]!;
    }
    if (t % every === 0) yield;
  }
  return out;
}

/** X^T v: one number a term. */
export function* multiplyTransposed(columns: ProductColumns, vector: Float64Array): Steps<Float64Array> {
  const { rows } = columns.data;
  const out = new Float64Array(columns.terms);
  const term = new Float64Array(rows);
  const every = Math.ceil(OPERATIONS_PER_STEP / (2 * rows));
  for (let t = 0; t < columns.terms; t++) {
    writeTerm(columns, t, term);
    out[t] = dot(term, vector);
    if (t % every === 0) yield;
  }
  return out;
}

export function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
