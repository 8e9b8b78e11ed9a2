/**
 * The features whose decoder rows have the largest cosine with a vector: exact, over all rows, streamed by blocks; memory is one
 * block and `count` results. No index that might miss a neighbour.
 */
import { fault } from '../../shared/errors/fault.js';
import type { Sae } from './sae.js';
import { TopList } from './top-list.js';

export interface Neighbour {
  readonly index: number;
  /** In [-1, 1]; 0 for a decoder row of zeros. */
  readonly cosine: number;
}

/** vector [d_in], not zero; count in [1, d_sae]. Descending by cosine, of equal ones the lower index first. */
export const findNearestFeatures = (
  sae: Sae,
  vector: Float32Array,
  count: number,
  checkpoint?: () => void,
): Neighbour[] => {
  const length = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
  if (length === 0)
    throw fault('REQUEST_INVALID', 'The vector is zero: it has no direction. Send a vector with a length.');
  if (!Number.isInteger(count) || count < 1 || count > sae.dSae)
    throw fault(
      'REQUEST_INVALID',
      `${count} features were asked for; the SAE of layer ${sae.layer} has ${sae.dSae}. Ask for 1 to ${sae.dSae}.`,
    );
  const best = new TopList(count);
  for (const block of sae.decoder.blocks()) {
    checkpoint?.();
    for (let k = 0; k < block.count; k++) {
      const { product, norm } = compareRow(block.values, k * sae.dIn, vector);
      const cosine = norm === 0 ? 0 : product / (norm * length);
      best.offer(block.start + k, Math.max(-1, Math.min(1, cosine)));
    }
  }
  return best.descending().map(({ index, value }) => ({ index, cosine: value }));
};

/** Dot product with the vector and norm of the row at `at`, in one pass over it. */
const compareRow = (values: Float32Array, at: number, vector: Float32Array): { product: number; norm: number } => {
  let product = 0;
  let squares = 0;
  for (let i = 0; i < vector.length; i++) {
    const value = values[at + i]!;
    product += value * vector[i]!;
    squares += value * value;
  }
  return { product, norm: Math.sqrt(squares) };
};

/** |values[row]| of a matrix [n, d], in float64. */
export const rowNorm = (values: Float32Array, row: number, d: number): number => {
  let sum = 0;
  for (let i = row * d; i < (row + 1) * d; i++) sum += values[i]! * values[i]!;
  return Math.sqrt(sum);
};
