/** The non-zero activations of one residual, ascending by index, and the choice of the k largest (TopK). */
export interface SparseRow {
  readonly indices: number[];
  /** float32 activations, all > 0. */
  readonly values: number[];
}

/** The k largest of a row, still ascending by index; of equal ones the lower index stays. */
export const keepLargest = (row: SparseRow, k: number): SparseRow => {
  if (row.indices.length <= k) return row;
  const order = [...row.indices.keys()].sort((a, b) => row.values[b]! - row.values[a]! || a - b);
  const kept = order.slice(0, k).sort((a, b) => a - b);
  return { indices: kept.map((at) => row.indices[at]!), values: kept.map((at) => row.values[at]!) };
};
