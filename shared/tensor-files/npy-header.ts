/**
 * Parses the header of a .npy array, versions 1 to 3: the dtype, the axis order and the shape. The header is a Python literal; it
 * is matched against the three keys that the format defines and never evaluated. Format: numpy.lib.format.
 */
import { corruptFile, quoted, unsupportedFile } from './tensor-file-faults.js';

export interface NpyHeader {
  /** numpy's dtype string (`<f4`), or `structured`. */
  readonly dtype: string;
  readonly fortranOrder: boolean;
  readonly shape: readonly number[];
  /** Byte of the first value, from the start of the array's bytes. */
  readonly dataStart: number;
}

const MAGIC = Buffer.from('\x93NUMPY', 'latin1');
/** numpy's own limit for headers from untrusted files. */
const MAX_HEADER_BYTES = 10_000;
const MAX_RANK = 32;
const PREFIX_BYTES = 12;
/** No header ends later than this. */
export const MAX_NPY_START_BYTES = PREFIX_BYTES + MAX_HEADER_BYTES;

const ITEM = /^\s*'(descr|fortran_order|shape)'\s*:\s*('[^']*'|\[.*\]|True|False|\([\d\s,L]*\))\s*(,|$)/;

/** Parses the start of an array's bytes (all of it, or MAX_NPY_START_BYTES). Faults name the array: TENSOR_FILE_CORRUPT, TENSOR_FILE_UNSUPPORTED. */
export const parseNpyHeader = (path: string, name: string, start: Uint8Array): NpyHeader => {
  const field = `the header of array ${quoted(name)}`;
  const bytes = Buffer.from(start.buffer, start.byteOffset, start.byteLength);
  if (bytes.length < PREFIX_BYTES || !bytes.subarray(0, 6).equals(MAGIC))
    throw corruptFile(path, field, 'no npy header', 'it starts with \\x93NUMPY');
  const version = bytes[6]!;
  if (version < 1 || version > 3)
    throw unsupportedFile(path, `the npy version of array ${quoted(name)}`, version, '1 to 3 are.');
  const textStart = version === 1 ? 10 : 12;
  const length = version === 1 ? bytes.readUInt16LE(8) : bytes.readUInt32LE(8);
  const limit = Math.min(MAX_HEADER_BYTES, bytes.length - textStart);
  if (length > limit) throw corruptFile(path, `the length of ${field}`, length, `it must be at most ${limit}`);
  const dataStart = textStart + length;
  return { ...parseLiteral(path, field, bytes.toString('utf8', textStart, dataStart)), dataStart };
};

const parseLiteral = (path: string, field: string, text: string): Omit<NpyHeader, 'dataStart'> => {
  const malformed = () =>
    corruptFile(path, field, text.trim(), "it must be {'descr': ..., 'fortran_order': ..., 'shape': ...}");
  const trimmed = text.trim();
  if (!trimmed.startsWith('{') || !trimmed.endsWith('}')) throw malformed();
  const items = new Map<string, string>();
  for (let rest = trimmed.slice(1, -1).trim(); rest !== ''; ) {
    const match = ITEM.exec(rest);
    if (!match || items.has(match[1]!)) throw malformed();
    items.set(match[1]!, match[2]!);
    rest = rest.slice(match[0].length).trim();
  }
  const descr = items.get('descr');
  const order = items.get('fortran_order');
  const shape = items.get('shape');
  if (!descr || !(order === 'True' || order === 'False') || !shape?.startsWith('(')) throw malformed();
  const dtype = descr.startsWith("'") ? descr.slice(1, -1) : 'structured';
  return { dtype, fortranOrder: order === 'True', shape: parseShape(shape) ?? fail(malformed) };
};

const fail = (problem: () => Error): never => {
  throw problem();
};

/** `(3, 4)`, `(3,)`, `()`; Python 2 wrote `(3L, 4L)`. Undefined where it is none of them. */
const parseShape = (tuple: string): number[] | undefined => {
  const parts = tuple
    .slice(1, -1)
    .split(',')
    .map((part) => part.trim());
  if (parts.at(-1) === '') parts.pop();
  const shape = parts.map((part) => (/^\d+L?$/.test(part) ? Number.parseInt(part, 10) : Number.NaN));
  return shape.length <= MAX_RANK && shape.every(Number.isSafeInteger) ? shape : undefined;
};
