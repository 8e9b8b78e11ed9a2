/**
 * What every reader of weight files offers, so that callers do not care about the format. Owns the rules that all formats share:
 * what a row is, which ranges may be asked for, and how large one read may be.
 *
 * Reads are synchronous on purpose. Weights are loaded on worker threads, where waiting is free, and turning quantized bytes into
 * floats occupies the thread anyway, so that a promise would only look as if the event loop stayed free.
 */
import { type Fault, fault } from '../errors/fault.js';
import { corruptFile, quoted } from './tensor-file-faults.js';

export interface TensorInfo {
  readonly name: string;
  /** The format's own word: F32, BF16, Q4_1, <f4, ... */
  readonly dtype: string;
  /** Outermost axis first, as in numpy (GGUF files store the reverse). */
  readonly shape: readonly number[];
  /** Length of the tensor's bytes: as stored, or once inflated where the file is compressed. */
  readonly byteLength: number;
  /** File and absolute byte offset of the raw row-major data; absent where it is compressed or column-major. */
  readonly file?: string;
  readonly offset?: number;
}

/** A tensor whose raw bytes can be addressed in a file (ONNX external data needs that). */
export interface StoredTensorInfo extends TensorInfo {
  readonly file: string;
  readonly offset: number;
}

/** A range of the outermost axis: 0 <= start, start + count <= shape[0]. */
export interface RowRange {
  readonly start: number;
  readonly count: number;
}

export interface TensorSource {
  /** The file or folder, as it was given. */
  readonly path: string;
  list(): readonly TensorInfo[];
  has(name: string): boolean;
  /** Faults: TENSOR_NOT_FOUND. */
  info(name: string): TensorInfo;
  /**
   * The tensor, or a range of its rows, as float32 in row-major order; 64-bit floats are rounded to nearest.
   * Faults: TENSOR_NOT_FOUND, TENSOR_FILE_UNSUPPORTED (a dtype that is only listed), TENSOR_FILE_CORRUPT (the file is cut short),
   * REQUEST_INVALID (rows outside the tensor), REQUEST_TOO_LARGE (more than 2^30 values).
   */
  readFloat32(name: string, rows?: RowRange): Float32Array;
  /** Columns of a matrix [n, d], one after the other: [columns.length, n]. Faults as readFloat32. */
  readColumns(name: string, columns: readonly number[]): Float32Array;
  close(): void;
}

/** 4 GiB of float32: twice the largest embedding of the models in scope. */
const MAX_VALUES_PER_READ = 2 ** 30;

/** Product of the dimensions; faults TENSOR_FILE_CORRUPT when it does not fit an exact integer. */
export const countElements = (path: string, name: string, shape: readonly number[]): number => {
  let product = 1;
  for (const dimension of shape) {
    product *= dimension;
    if (!Number.isSafeInteger(product))
      throw corruptFile(
        path,
        `the shape of tensor ${quoted(name)}`,
        shape.join(' x '),
        'the product must be below 2^53',
      );
  }
  return product;
};

/** A checked range of rows in elements: `rowLength` values a row, `first` values to skip, `length` values to read. */
export interface ElementRange {
  readonly rowLength: number;
  readonly rowCount: number;
  readonly first: number;
  readonly length: number;
}

export const resolveRows = (info: TensorInfo, rows?: RowRange): ElementRange => {
  const total = info.shape[0] ?? 1;
  const rowLength = info.shape.slice(1).reduce((product, dimension) => product * dimension, 1);
  const { start, count } = rows ?? { start: 0, count: total };
  if (!Number.isInteger(start) || !Number.isInteger(count) || start < 0 || count < 0 || start + count > total)
    throw fault(
      'REQUEST_INVALID',
      `Rows ${start} to ${start + count} of tensor ${quoted(info.name)} were asked for; it has ${total}.`,
    );
  assertReadSize(info, count * rowLength);
  return { rowLength, rowCount: count, first: start * rowLength, length: count * rowLength };
};

export const resolveColumns = (info: TensorInfo, columns: readonly number[]): { rowCount: number; width: number } => {
  const [rowCount, width] = info.shape;
  if (rowCount === undefined || width === undefined || info.shape.length !== 2)
    throw fault('REQUEST_INVALID', `Columns of tensor ${quoted(info.name)} were asked for; it is [${info.shape}].`);
  for (const column of columns)
    if (!Number.isInteger(column) || column < 0 || column >= width)
      throw fault('REQUEST_INVALID', `Column ${column} of tensor ${quoted(info.name)} was asked for; it has ${width}.`);
  assertReadSize(info, rowCount * columns.length);
  return { rowCount, width };
};

const assertReadSize = (info: TensorInfo, length: number): void => {
  if (length > MAX_VALUES_PER_READ)
    throw fault(
      'REQUEST_TOO_LARGE',
      `${length} values of tensor ${quoted(info.name)} were asked for; one read gives at most ${MAX_VALUES_PER_READ}. Read ranges of rows.`,
    );
};

/** The fault for a name that a file lacks, with a few names that it has. */
export const tensorNotFound = (path: string, name: string, known: Iterable<string>): Fault => {
  const names = [...known];
  const some = names.slice(0, 3).map(quoted).join(', ');
  return fault(
    'TENSOR_NOT_FOUND',
    `${path} has no tensor ${quoted(name)}; it has ${names.length}${some && `, such as ${some}`}.`,
    { details: { file: path, name } },
  );
};
