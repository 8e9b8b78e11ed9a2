/**
 * Parses the header of one safetensors file. Format: the safetensors specification (u64 header length, JSON header of at most
 * 100 MB, then the data): unique keys, offsets that cover the data exactly, without overlaps or holes. All of it is checked.
 */
import type { BoundedFile } from './bounded-file.js';
import { assertByteSpans } from './byte-spans.js';
import { parseBoundedJson } from './json-bounds.js';
import { corruptFile, quoted, unsupportedFile } from './tensor-file-faults.js';
import { countElements, type StoredTensorInfo } from './tensor-source.js';

export interface SafetensorsHeader {
  /** The free-form `__metadata__` of the file: strings only. */
  readonly metadata: ReadonlyMap<string, string>;
  readonly tensors: ReadonlyMap<string, StoredTensorInfo>;
}

const MAX_HEADER_BYTES = 100_000_000;
/** The largest mixture models have some 100,000 tensors in all their shards together; a tensor has 9 items at rank 2. */
const MAX_TENSORS = 200_000;
const BOUNDS = { maxDepth: 3, maxItems: 10 * MAX_TENSORS, maxKeys: MAX_TENSORS + 1 };
const MAX_RANK = 16;

/** Bits a value. */
const DTYPE_BITS: ReadonlyMap<string, number> = new Map([
  ...['BOOL', 'U8', 'I8', 'F8_E5M2', 'F8_E4M3', 'F8_E8M0', 'F8_E5M2FNUZ', 'F8_E4M3FNUZ'].map(
    (name) => [name, 8] as const,
  ),
  ...['I16', 'U16', 'F16', 'BF16'].map((name) => [name, 16] as const),
  ...['I32', 'U32', 'F32'].map((name) => [name, 32] as const),
  ...['I64', 'U64', 'F64', 'C64'].map((name) => [name, 64] as const),
  ['F4', 4],
  ['F6_E2M3', 6],
  ['F6_E3M2', 6],
]);

export const parseSafetensorsHeader = (file: BoundedFile): SafetensorsHeader => {
  const { header, dataStart } = readHeader(file);
  const metadata = readMetadata(file.path, header.__metadata__);
  const entries = Object.entries(header).filter(([name]) => name !== '__metadata__');
  const tensors = new Map(entries.map(([name, entry]) => [name, readEntry(file.path, name, entry, dataStart)]));
  assertByteSpans(
    file.path,
    [...tensors.values()].map(({ name, offset, byteLength }) => ({ name, start: offset, end: offset + byteLength })),
    { start: dataStart, end: file.size, dense: true },
  );
  return { metadata, tensors };
};

const readHeader = (file: BoundedFile): { header: Record<string, unknown>; dataStart: number } => {
  const length = Buffer.from(file.read(0, 8, 'the header length').buffer).readBigUInt64LE();
  const limit = Math.min(MAX_HEADER_BYTES, file.size - 8);
  if (length > BigInt(limit)) throw corruptFile(file.path, 'the header length', length, `it must be at most ${limit}`);
  const bytes = file.read(8, Number(length), 'the header');
  if (bytes[0] !== 0x7b) throw corruptFile(file.path, 'the first byte of the header', bytes[0], 'it must be "{"');
  return { header: parseBoundedJson(file.path, 'the header', bytes, BOUNDS), dataStart: 8 + Number(length) };
};

const readMetadata = (path: string, value: unknown): ReadonlyMap<string, string> => {
  if (value === undefined) return new Map();
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  const pairs = isObject ? Object.entries(value) : [];
  if (!isObject || !pairs.every(([, text]) => typeof text === 'string'))
    throw corruptFile(path, '__metadata__', 'another kind of value', 'it must map strings to strings');
  return new Map(pairs as [string, string][]);
};

const isIndex = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
const isIndexList = (value: unknown): value is number[] => Array.isArray(value) && value.every(isIndex);

const readEntry = (path: string, name: string, entry: unknown, dataStart: number): StoredTensorInfo => {
  const field = `tensor ${quoted(name)}`;
  const isObject = typeof entry === 'object' && entry !== null;
  const { dtype, shape, data_offsets: range }: Record<string, unknown> = isObject ? { ...entry } : {};
  if (typeof dtype !== 'string' || !isIndexList(shape) || !isIndexList(range) || range.length !== 2)
    throw corruptFile(path, field, 'incomplete', 'it must have a dtype, a shape and data_offsets [begin, end]');
  if (shape.length > MAX_RANK)
    throw corruptFile(path, `the rank of ${field}`, shape.length, `at most ${MAX_RANK} is allowed`);
  const bits = DTYPE_BITS.get(dtype);
  if (bits === undefined) throw unsupportedFile(path, `the dtype of ${field}`, dtype, 'Its size is not known.');
  const [begin, end] = range as [number, number];
  const byteLength = (countElements(path, name, shape) * bits) / 8;
  if (end - begin !== byteLength)
    throw corruptFile(
      path,
      `the length of ${field}`,
      `${end - begin} bytes`,
      `${dtype} [${shape}] takes ${byteLength}`,
    );
  return { name, dtype, shape, byteLength, file: path, offset: dataStart + begin };
};
