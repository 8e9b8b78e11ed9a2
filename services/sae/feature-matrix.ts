/**
 * A weight matrix with one row a feature, [d_sae, d_in], however its file stores it. Files that store the transpose are read a slab
 * of columns at a time and transposed block by block, so that no matrix is ever whole in memory unless it fits the cache. A NaN or
 * an infinity in the weights is a fault here, before it can become an activation.
 */
import { fault } from '../../shared/errors/fault.js';
import type { BlockCache } from './block-cache.js';
import type { StoredMatrix } from './stored-matrix.js';

/** 16 MiB of float32 a block: slabs of a transposed 131k-wide float16 encoder are then runs of 2 kB. */
const BLOCK_VALUES = 1 << 22;

export interface FeatureBlock {
  /** Features [start, start + count). */
  readonly start: number;
  readonly count: number;
  /** [count, d_in] */
  readonly values: Float32Array;
}

export class FeatureMatrix {
  private readonly blockRows: number;
  private readonly cached: boolean;

  /** `label` names the matrix in faults and in the cache, and must be unique there. */
  constructor(
    readonly label: string,
    private readonly stored: StoredMatrix,
    private readonly cache: BlockCache,
    blockValues = BLOCK_VALUES,
  ) {
    this.blockRows = Math.max(1, Math.floor(blockValues / stored.width));
    this.cached = cache.fits(stored.features * stored.width * Float32Array.BYTES_PER_ELEMENT);
  }

  get features(): number {
    return this.stored.features;
  }

  get width(): number {
    return this.stored.width;
  }

  /** All blocks in order of features. Each block's values are read-only. */
  *blocks(): Generator<FeatureBlock> {
    for (let start = 0; start < this.features; start += this.blockRows) yield this.block(start);
  }

  /** The rows of these features, [indices.length, d_in], in the order given. */
  rows(indices: readonly number[]): Float32Array {
    if (!this.cached) return this.checked(this.stored.readRows(indices), (row) => indices[row]!);
    const out = new Float32Array(indices.length * this.width);
    indices.forEach((index, k) => {
      const block = this.block(Math.floor(index / this.blockRows) * this.blockRows);
      const at = (index - block.start) * this.width;
      out.set(block.values.subarray(at, at + this.width), k * this.width);
    });
    return out;
  }

  private block(start: number): FeatureBlock {
    const count = Math.min(this.blockRows, this.features - start);
    const read = () => this.checked(this.stored.readRange(start, count), (row) => start + row);
    return { start, count, values: this.cached ? this.cache.get(`${this.label}@${start}`, read) : read() };
  }

  private checked(values: Float32Array, featureOf: (row: number) => number): Float32Array {
    if (!allFinite(values)) {
      const bad = values.findIndex((value) => !Number.isFinite(value));
      throw fault(
        'NOT_FINITE',
        `${this.label} holds ${values[bad]} at feature ${featureOf(Math.floor(bad / this.width))}; an SAE with such weights cannot be used. Fetch or convert it again.`,
      );
    }
    return values;
  }
}

/** 0 times a finite number is 0, times anything else NaN: one sum tells, ten times faster than a test of each value. */
const allFinite = (values: Float32Array): boolean => {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]! * 0;
  return sum === 0;
};
