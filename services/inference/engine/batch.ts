/**
 * A padded batch of rows of the residual stream on its way through blocks. Owns positions, the attention bias and the frozen keys
 * of earlier positions; the same batch goes through many blocks with only the residual and the past changing.
 */
import { HIDDEN } from '../graph/block-io.js';
import type { ModelSpec } from '../model/model-spec.js';

/** Keys or values of positions [0, length) of one sequence at one block: [Hkv, capacity, hd], of which `length` are used. */
export interface FrozenPast {
  readonly keys: Float32Array;
  readonly values: Float32Array;
  readonly capacity: number;
}

/** One sequence's share of a batch: rows for positions [start, start + count) of its token list. */
export interface BatchRow {
  /** First index computed; indices before it come from `past`. */
  readonly start: number;
  readonly count: number;
  /** RoPE position of every index of the sequence, [start + count] at least. */
  readonly positions: Int32Array;
  /** For each index of the sequence: the nearest earlier index it sees beyond the shared trunk; see `sees`. */
  readonly visibility: Visibility;
  past(block: number): FrozenPast;
}

/**
 * Which indices a row may attend to: everything up to itself on the trunk [0, trunk), and for indices behind the trunk (branches
 * of the opener tree) the trunk and their own ancestors.
 */
export interface Visibility {
  readonly trunk: number;
  /** For index trunk + i: its ancestors' indices and itself. Empty for plain sequences. */
  readonly branches: readonly (readonly number[])[];
}

export const CAUSAL: Visibility = { trunk: Number.MAX_SAFE_INTEGER, branches: [] };

export class Batch {
  readonly size: number;
  /** T: rows a sequence, padding included. */
  readonly width: number;
  /** P: past positions, padding included. */
  readonly past: number;
  readonly positionIds: BigInt64Array;
  readonly bias: Float32Array;
  readonly localBias: Float32Array | undefined;
  readonly maxPosition: number;

  constructor(
    private readonly spec: ModelSpec,
    readonly rows: readonly BatchRow[],
  ) {
    this.size = rows.length;
    this.width = Math.max(...rows.map((row) => row.count));
    this.past = Math.max(...rows.map((row) => row.start));
    this.positionIds = new BigInt64Array(this.size * this.width);
    this.maxPosition = this.fillPositions();
    this.bias = this.makeBias(undefined);
    this.localBias = spec.isLocal.some(Boolean) ? this.makeBias(spec.slidingWindow) : undefined;
  }

  /** Rows that are not padding. */
  get tokens(): number {
    return this.rows.reduce((sum, row) => sum + row.count, 0);
  }

  /** [B, T, d] from one matrix [count, d] a row; padding is zero. */
  pack(residuals: readonly Float32Array[]): Float32Array {
    const stride = this.width * this.spec.dModel;
    const packed = new Float32Array(this.size * stride);
    for (const [b, residual] of residuals.entries()) packed.set(residual, b * stride);
    return packed;
  }

  /** The rows of sequence b, as a copy that outlives the batch. */
  unpack(packed: Float32Array, b: number): Float32Array {
    const from = b * this.width * this.spec.dModel;
    return packed.slice(from, from + this.rows[b].count * this.spec.dModel);
  }

  /** Past keys and values of one block, [B, Hkv, P, hd] each. */
  packPast(block: number): { keys: Float32Array; values: Float32Array } {
    const { nKvHeads, headDim } = this.spec;
    const perHead = this.past * headDim;
    const keys = new Float32Array(this.size * nKvHeads * perHead);
    const values = new Float32Array(keys.length);
    this.rows.forEach((row, b) => {
      if (row.start === 0) return;
      const frozen = row.past(block);
      for (let h = 0; h < nKvHeads; h++) {
        const from = h * frozen.capacity * headDim;
        const to = (b * nKvHeads + h) * perHead;
        keys.set(frozen.keys.subarray(from, from + row.start * headDim), to);
        values.set(frozen.values.subarray(from, from + row.start * headDim), to);
      }
    });
    return { keys, values };
  }

  private fillPositions(): number {
    let max = 0;
    this.rows.forEach((row, b) => {
      for (let t = 0; t < row.count; t++) {
        const position = row.positions[row.start + t];
        max = Math.max(max, position);
        this.positionIds[b * this.width + t] = BigInt(position);
      }
    });
    return max;
  }

  /** [B, 1, 1, T, P + T]: past columns first, then the rows' own. Padding rows see their own column alone. */
  private makeBias(window: number | undefined): Float32Array {
    const columns = this.past + this.width;
    const bias = new Float32Array(this.size * this.width * columns).fill(HIDDEN);
    this.rows.forEach((row, b) => {
      for (let t = 0; t < this.width; t++) {
        const line = bias.subarray((b * this.width + t) * columns, (b * this.width + t + 1) * columns);
        if (t >= row.count) line[this.past + t] = 0;
        else this.showVisible(row, row.start + t, line, window);
      }
    });
    return bias;
  }

  private showVisible(row: BatchRow, index: number, line: Float32Array, window: number | undefined): void {
    const show = (key: number): void => {
      if (window !== undefined && row.positions[index] - row.positions[key] >= window) return;
      line[key < row.start ? key : this.past + key - row.start] = 0;
    };
    const { trunk, branches } = row.visibility;
    for (let key = 0; key <= Math.min(index, trunk - 1); key++) show(key);
    if (index >= trunk) for (const key of branches[index - trunk]) show(key);
  }
}
