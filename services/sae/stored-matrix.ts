/**
 * Reads rows of features from a tensor of either orientation: [d_sae, d_in] as it stands, or [d_in, d_sae] transposed on the way,
 * by one short read a row of the file, so that a range of columns costs its own bytes and not the whole tensor.
 */
import { BoundedFile } from '../../shared/tensor-files/bounded-file.js';
import { decodePlain, isPlainType, PLAIN_TYPE_BYTES, type PlainType } from '../../shared/tensor-files/plain-tensor.js';
import { quoted } from '../../shared/tensor-files/tensor-file-faults.js';
import type { TensorSource } from '../../shared/tensor-files/tensor-source.js';

export interface StoredMatrix {
  readonly features: number;
  readonly width: number;
  /** Features [start, start + count) as [count, d_in]. */
  readRange(start: number, count: number): Float32Array;
  /** These features as [indices.length, d_in]. */
  readRows(indices: readonly number[]): Float32Array;
  /** Closes what was opened here; the tensor file itself belongs to the caller. */
  close(): void;
}

/** numpy's names of the plain types; safetensors uses ours. */
const NUMPY_TYPES: Readonly<Record<string, PlainType>> = { '<f2': 'F16', '<f4': 'F32', '<f8': 'F64' };

/** A matrix [d_sae, d_in] of an open file. */
export const featureRowsOf = (source: TensorSource, name: string): StoredMatrix => {
  const [features, width] = source.info(name).shape as [number, number];
  return {
    features,
    width,
    readRange: (start, count) => source.readFloat32(name, { start, count }),
    readRows: (indices) => {
      const out = new Float32Array(indices.length * width);
      indices.forEach((index, k) => {
        out.set(source.readFloat32(name, { start: index, count: 1 }), k * width);
      });
      return out;
    },
    close: () => {},
  };
};

/** The transpose of a matrix [d_in, d_sae] of an open file. */
export const featureColumnsOf = (source: TensorSource, name: string): StoredMatrix => {
  const info = source.info(name);
  const [width, features] = info.shape as [number, number];
  const readRows = (indices: readonly number[]) => source.readColumns(name, indices);
  const type = isPlainType(info.dtype) ? info.dtype : NUMPY_TYPES[info.dtype];
  const { file, offset } = info;
  if (file === undefined || offset === undefined || type === undefined) {
    const readRange = (start: number, count: number) => readRows(Array.from({ length: count }, (_, k) => start + k));
    return { features, width, readRange, readRows, close: () => {} };
  }
  const opened = BoundedFile.open(file);
  const slab = { source: opened, offset, type, features, width, what: `the data of tensor ${quoted(name)}` };
  return {
    features,
    width,
    readRange: (start, count) => readSlab(slab, start, count),
    readRows,
    close: () => opened.close(),
  };
};

interface Slab {
  readonly source: BoundedFile;
  readonly offset: number;
  readonly type: PlainType;
  readonly features: number;
  readonly width: number;
  readonly what: string;
}

/** Rows of the file that are turned into columns together: each write then fills a cache line of 64 bytes. */
const TURNED_ROWS = 16;

/** Columns [start, start + count) of a row-major tensor [d_in, d_sae] as [count, d_in]. */
const readSlab = (
  { source, offset, type, features, width, what }: Slab,
  start: number,
  count: number,
): Float32Array => {
  const size = PLAIN_TYPE_BYTES[type];
  const out = new Float32Array(count * width);
  const bytes = new Uint8Array(count * size);
  const values = new Float32Array(TURNED_ROWS * count);
  for (let first = 0; first < width; first += TURNED_ROWS) {
    const rows = Math.min(TURNED_ROWS, width - first);
    for (let row = 0; row < rows; row++) {
      source.readInto(bytes, offset + ((first + row) * features + start) * size, what);
      decodePlain(type, bytes, values, row * count);
    }
    for (let k = 0; k < count; k++)
      for (let row = 0; row < rows; row++) out[k * width + first + row] = values[row * count + k]!;
  }
  return out;
};
