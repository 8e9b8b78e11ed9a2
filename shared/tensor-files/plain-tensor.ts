/**
 * Reading of tensors whose values lie in a file one after the other, unquantized: safetensors, stored npz entries, and the float
 * types of GGUF. Ranges of rows are one contiguous read; columns are gathered, by small reads where the matrix is much larger
 * than what is asked for. No read buffer exceeds 4 MiB, however large the tensor.
 */
import type { ByteSource } from './bounded-file.js';
import { widenBfloat16, widenFloat16 } from './float-formats.js';
import { quoted } from './tensor-file-faults.js';
import { type ElementRange, resolveColumns, type TensorInfo } from './tensor-source.js';

export type PlainType = 'F32' | 'F16' | 'BF16' | 'F64';

export const PLAIN_TYPE_BYTES: Readonly<Record<PlainType, number>> = { F32: 4, F16: 2, BF16: 2, F64: 8 };

export const isPlainType = (dtype: string): dtype is PlainType => Object.hasOwn(PLAIN_TYPE_BYTES, dtype);

/** Bytes held at once while a tensor is converted. */
export const READ_CHUNK_BYTES = 4 << 20;

/** A read of one value costs about as much as streaming one page of the file. */
const BYTES_WORTH_ONE_READ = 4096;

/** Converts little-endian `bytes` (whole values) into `out` from `at` on. */
export const decodePlain = (type: PlainType, bytes: Uint8Array, out: Float32Array, at = 0): void => {
  if (type === 'F16') widenFloat16(bytes, out, at);
  else if (type === 'BF16') widenBfloat16(bytes, out, at);
  else if (type === 'F32') new Uint8Array(out.buffer, out.byteOffset + at * 4, bytes.length).set(bytes);
  else narrowFloat64(bytes, out, at);
};

const narrowFloat64 = (bytes: Uint8Array, out: Float32Array, at: number): void => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let i = 0; i < bytes.length >> 3; i++) out[at + i] = view.getFloat64(8 * i, true);
};

/** Where a plain tensor lies: `offset` is the byte of its first value. */
export interface PlainTensor {
  readonly source: ByteSource;
  readonly offset: number;
  readonly type: PlainType;
  readonly info: TensorInfo;
}

/** The values of an element range (see resolveRows), in file order. */
export const readPlainRange = (tensor: PlainTensor, range: ElementRange): Float32Array => {
  const out = new Float32Array(range.length);
  const { source, type } = tensor;
  const what = `the data of tensor ${quoted(tensor.info.name)}`;
  const size = PLAIN_TYPE_BYTES[type];
  const start = tensor.offset + range.first * size;
  if (type === 'F32') {
    source.readInto(new Uint8Array(out.buffer), start, what);
    return out;
  }
  const step = READ_CHUNK_BYTES / size;
  const buffer = new Uint8Array(Math.min(range.length, step) * size);
  for (let done = 0; done < range.length; done += step) {
    const bytes = buffer.subarray(0, Math.min(range.length - done, step) * size);
    source.readInto(bytes, start + done * size, what);
    decodePlain(type, bytes, out, done);
  }
  return out;
};

/** Columns of a row-major matrix [n, d] as [columns.length, n]. Faults as resolveColumns. */
export const readPlainColumns = (tensor: PlainTensor, columns: readonly number[]): Float32Array => {
  const { rowCount, width } = resolveColumns(tensor.info, columns);
  const size = PLAIN_TYPE_BYTES[tensor.type];
  if (columns.length * BYTES_WORTH_ONE_READ >= width * size)
    return gatherColumns(rowCount, width, columns, (start, count) =>
      readPlainRange(tensor, { rowLength: width, rowCount: count, first: start * width, length: count * width }),
    );
  const bytes = new Uint8Array(columns.length * rowCount * size);
  const what = `the data of tensor ${quoted(tensor.info.name)}`;
  for (let row = 0; row < rowCount; row++)
    columns.forEach((column, k) => {
      const at = (k * rowCount + row) * size;
      tensor.source.readInto(bytes.subarray(at, at + size), tensor.offset + (row * width + column) * size, what);
    });
  const out = new Float32Array(columns.length * rowCount);
  decodePlain(tensor.type, bytes, out);
  return out;
};

/** Columns of any matrix [rowCount, width] as [columns.length, rowCount], from a reader of row ranges, a few rows at a time. */
export const gatherColumns = (
  rowCount: number,
  width: number,
  columns: readonly number[],
  readRows: (start: number, count: number) => Float32Array,
): Float32Array => {
  const out = new Float32Array(columns.length * rowCount);
  const step = Math.max(1, Math.floor(READ_CHUNK_BYTES / 4 / Math.max(1, width)));
  for (let start = 0; start < rowCount; start += step) {
    const count = Math.min(step, rowCount - start);
    const values = readRows(start, count);
    for (let k = 0; k < columns.length; k++)
      for (let row = 0; row < count; row++) out[k * rowCount + start + row] = values[row * width + columns[k]!]!;
  }
  return out;
};
