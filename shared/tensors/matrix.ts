/**
 * The proto Matrix as a Float32Array with its shape, and back. Everything that crosses the wire is checked here once: byte length
 * against shape, a cap on the shape, finite values. Prevents: a NaN or a short buffer that turns into a plausible number later.
 */
import type { Matrix as ProtoMatrix } from '../../proto/gen/refusalscope/v1/types.js';
import { fault } from '../errors/fault.js';

/** Row-major: element (r, c) is data[r * cols + c]. */
export interface Matrix {
  readonly rows: number;
  readonly cols: number;
  readonly data: Float32Array;
}

export interface MatrixExpectation {
  /** The field's name, for the error text. */
  readonly name: string;
  readonly rows?: number;
  readonly cols?: number;
  /** Only for LayerEdits.threshold, where -infinity is a plain projection. */
  readonly allowNegativeInfinity?: boolean;
}

/**
 * Reads a wire matrix. The result shares the message's memory when that is aligned to 4 bytes, so treat it as read-only.
 * Throws REQUEST_INVALID (absent), SHAPE_MISMATCH (bytes or expected shape), NOT_FINITE.
 */
export const decodeMatrix = (wire: ProtoMatrix | undefined, expected: MatrixExpectation): Matrix => {
  if (wire === undefined) throw fault('REQUEST_INVALID', `${expected.name} is missing.`);
  const { rows, cols, data } = wire;
  assertShape(rows, cols, expected);
  // Rows without columns take no bytes: four billion of them would be believed, and allocated for.
  if (rows > 0 && cols === 0)
    throw fault('SHAPE_MISMATCH', `${expected.name} has ${rows} rows of 0 columns; give columns.`);
  const wanted = rows * cols * 4;
  if (data.byteLength !== wanted) {
    throw fault(
      'SHAPE_MISMATCH',
      `${expected.name} says ${rows} x ${cols} float32, which is ${wanted} bytes, but holds ${data.byteLength} bytes.`,
    );
  }
  const values = toFloat32(data);
  assertFinite(values, cols, expected);
  return { rows, cols, data: values };
};

const assertShape = (rows: number, cols: number, expected: MatrixExpectation): void => {
  if (expected.rows !== undefined && rows !== expected.rows) {
    throw fault('SHAPE_MISMATCH', `${expected.name} has ${rows} rows; ${expected.rows} are needed.`);
  }
  if (expected.cols !== undefined && cols !== expected.cols) {
    throw fault('SHAPE_MISMATCH', `${expected.name} has ${cols} columns; ${expected.cols} are needed.`);
  }
};

/** Float32 view of little-endian bytes; copies only if they are not aligned. (Every platform Node runs on is little-endian.) */
const toFloat32 = (bytes: Uint8Array): Float32Array => {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : new Uint8Array(bytes);
  return new Float32Array(aligned.buffer, aligned.byteOffset, bytes.byteLength / 4);
};

const assertFinite = (values: Float32Array, cols: number, expected: MatrixExpectation): void => {
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    if (Number.isFinite(value)) continue;
    if (expected.allowNegativeInfinity === true && value === Number.NEGATIVE_INFINITY) continue;
    const where = `row ${Math.floor(i / cols)}, column ${i % cols}`;
    throw fault('NOT_FINITE', `${expected.name} holds ${value} at ${where}; every value must be a finite number.`);
  }
};

/** The wire form; shares memory with `matrix.data`. */
export const encodeMatrix = (matrix: Matrix): ProtoMatrix => {
  if (matrix.data.length !== matrix.rows * matrix.cols) {
    throw fault('INTERNAL', `A matrix of ${matrix.rows} x ${matrix.cols} has ${matrix.data.length} values.`);
  }
  const { buffer, byteOffset, byteLength } = matrix.data;
  return { rows: matrix.rows, cols: matrix.cols, data: new Uint8Array(buffer, byteOffset, byteLength) as Buffer };
};

/** A [1, n] matrix. */
export const encodeRow = (values: Float32Array | readonly number[]): ProtoMatrix =>
  encodeMatrix({ rows: 1, cols: values.length, data: Float32Array.from(values) });

/** The values of a [1, n] matrix. */
export const decodeRow = (wire: ProtoMatrix | undefined, expected: Omit<MatrixExpectation, 'rows'>): Float32Array =>
  decodeMatrix(wire, { ...expected, rows: 1 }).data;
