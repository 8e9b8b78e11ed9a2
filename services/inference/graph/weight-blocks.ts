/** Weights in blocks of 32 along a row, in the layout of the MatMulNBits operator. */
import { closeSync, openSync, readSync } from 'node:fs';
import { widenFloat16 } from '../../../shared/tensor-files/float-formats.js';
import type { TensorInfo } from '../../../shared/tensor-files/tensor-source.js';

export const BLOCK = 32;

/** w = scale (level - half) + constant, half = 8 or 128: the operator's own default zero points. */
export interface QuantizedBlocks {
  readonly bits: 4 | 8;
  readonly rows: number;
  readonly columns: number;
  /** [rows, columns / 32, 16 or 32 bytes]; 4-bit levels stand in pairs, the earlier weight in the low half. */
  readonly levels: Uint8Array;
  /** [rows, columns / 32] */
  readonly scales: Float32Array;
  /** [rows, columns / 32]; absent where all are 0. */
  readonly constants?: Float32Array;
}

/** Rounds a weight [rows, columns] to 255 levels a block, symmetric around 0. */
export function quantizeBlocks(data: Float32Array, [rows, columns]: readonly number[]): QuantizedBlocks {
  const blocks = data.length / BLOCK;
  const levels = new Uint8Array(data.length);
  const scales = new Float32Array(blocks);
  for (let b = 0; b < blocks; b++) {
    let max = 0;
    for (let i = b * BLOCK; i < (b + 1) * BLOCK; i++) max = Math.max(max, Math.abs(data[i]));
    const scale = max === 0 ? 1 : max / 127;
    scales[b] = scale;
    for (let i = b * BLOCK; i < (b + 1) * BLOCK; i++) levels[i] = 128 + Math.round(data[i] / scale);
  }
  return { bits: 8, rows, columns, levels, scales };
}

/** Bytes of a block: two or one float16, then 16 bytes of levels (GGML's Q4_1 and Q4_0). */
const STORED_BYTES: Readonly<Record<string, number>> = { Q4_0: 18, Q4_1: 20 };

/**
 * The blocks of a stored Q4_0 or Q4_1 matrix, undefined for another type. `rowOf` says at which row of the file a row of the model
 * stands.
 */
export function readStoredBlocks(info: TensorInfo, rowOf: (row: number) => number): QuantizedBlocks | undefined {
  const blockBytes = STORED_BYTES[info.dtype];
  if (blockBytes === undefined || info.file === undefined || info.offset === undefined) return undefined;
  const [rows, columns] = info.shape;
  const perRow = columns / BLOCK;
  const bytes = new Uint8Array(info.byteLength);
  const file = openSync(info.file, 'r');
  try {
    readSync(file, bytes, 0, bytes.length, info.offset);
  } finally {
    closeSync(file);
  }
  const levels = new Uint8Array((rows * columns) / 2);
  const scales = new Float32Array(rows * perRow);
  const constants = new Float32Array(rows * perRow);
  for (let row = 0; row < rows; row++) {
    for (let b = 0; b < perRow; b++) {
      const from = (rowOf(row) * perRow + b) * blockBytes;
      const block = row * perRow + b;
      readScale(bytes.subarray(from, from + blockBytes), block, scales, constants);
      pairUp(bytes.subarray(from + blockBytes - 16, from + blockBytes), levels.subarray(block * 16, (block + 1) * 16));
    }
  }
  return { bits: 4, rows, columns, levels, scales, ...(info.dtype === 'Q4_1' && { constants }) };
}

const pair = new Float32Array(2);

/** Q4_1: w = d q + m = d (q - 8) + (m + 8 d). Q4_0: w = d (q - 8). */
function readScale(block: Uint8Array, at: number, scales: Float32Array, constants: Float32Array): void {
  const halves = block.length - 16;
  widenFloat16(block.subarray(0, halves), pair);
  scales[at] = pair[0];
  if (halves === 4) constants[at] = pair[1] + 8 * pair[0];
}

/** GGML keeps weights 0-15 in the low halves and 16-31 in the high ones; the operator keeps neighbours together. */
function pairUp(stored: Uint8Array, out: Uint8Array): void {
  for (let i = 0; i < 8; i++) {
    out[i] = (stored[2 * i] & 15) | ((stored[2 * i + 1] & 15) << 4);
    out[8 + i] = (stored[2 * i] >> 4) | (stored[2 * i + 1] & 240);
  }
}
