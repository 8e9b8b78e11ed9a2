/**
 * Parses the header of a GGUF file, versions 2 and 3: metadata and the tensor table. Trusts nothing: counts, lengths, depth,
 * dimensions, alignment, duplicates and byte ranges are all checked before they are used.
 * Format: the GGUF specification (ggml project); the numbers below are its limits or, where it has none, ours with the reason.
 */
import type { BoundedFile } from './bounded-file.js';
import { assertByteSpans } from './byte-spans.js';
import { GGML_TYPES, type GgmlType } from './ggml-types.js';
import { GgufCursor } from './gguf-cursor.js';
import { corruptFile, quoted, unsupportedFile } from './tensor-file-faults.js';
import { countElements, type StoredTensorInfo } from './tensor-source.js';

export type GgufValue = string | number | bigint | boolean | readonly GgufValue[];

export interface GgufTensor extends StoredTensorInfo {
  readonly type: GgmlType;
}

export interface GgufHeader {
  readonly version: number;
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
}

const MAGIC = 0x46554747; // "GGUF", little-endian
/** Files in use have 20 to 60 keys and below 5,000 tensors. */
const MAX_KEYS = 10_000;
const MAX_TENSORS = 100_000;
const MAX_KEY_BYTES = 65_535;
const MAX_NAME_BYTES = 64;
const MAX_DIMENSIONS = 4;
/** The longest chat templates have some 100 kB. */
const MAX_STRING_BYTES = 16 << 20;
/** All arrays of a file together; vocabularies reach 262k tokens. */
const MAX_ARRAY_VALUES = 8_000_000;
const MAX_ARRAY_DEPTH = 4;
const DEFAULT_ALIGNMENT = 32;
const MAX_ALIGNMENT = 1 << 20;

const ARRAY_TYPE = 9;
/** By value type: the least bytes a value takes, and how it is read. 64-bit integers stay bigint only where a number is inexact. */
const VALUE_READERS: ReadonlyMap<number, readonly [minBytes: number, read: (cursor: GgufCursor) => GgufValue]> =
  new Map([
    [0, [1, (c) => c.u8()]],
    [1, [1, (c) => c.i8()]],
    [2, [2, (c) => c.u16()]],
    [3, [2, (c) => c.i16()]],
    [4, [4, (c) => c.u32()]],
    [5, [4, (c) => c.i32()]],
    [6, [4, (c) => c.f32()]],
    [7, [1, (c) => c.bool()]],
    [8, [8, (c) => c.string('the length', MAX_STRING_BYTES)]],
    [10, [8, (c) => exactNumber(c.u64())]],
    [11, [8, (c) => exactNumber(c.i64())]],
    [12, [8, (c) => c.f64()]],
  ]);

const exactNumber = (value: bigint): number | bigint => {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
};

export const parseGgufHeader = (file: BoundedFile): GgufHeader => {
  const cursor = new GgufCursor(file);
  const version = readVersion(cursor);
  cursor.field = 'the file';
  // A tensor entry takes at least 24 bytes and a key 13.
  const tensorCount = cursor.count('the tensor count', 24, MAX_TENSORS);
  const keyCount = cursor.count('the key count', 13, MAX_KEYS);
  const metadata = readMetadata(cursor, keyCount);
  const entries = readTensorEntries(cursor, tensorCount);
  const alignment = alignmentOf(file.path, metadata);
  const dataStart = Math.ceil(cursor.position / alignment) * alignment;
  const tensors = locateTensors(file, entries, dataStart, alignment);
  assertReadable(file.path, metadata, tensors);
  return { version, metadata, tensors };
};

const readVersion = (cursor: GgufCursor): number => {
  const magic = cursor.u32();
  if (magic !== MAGIC)
    throw corruptFile(cursor.path, 'the magic number', `0x${magic.toString(16)}`, 'a GGUF file starts with "GGUF"');
  cursor.field = 'the version';
  const version = cursor.u32();
  if (version !== 0 && (version & 0xffff) === 0)
    throw unsupportedFile(cursor.path, 'the byte order', 'big-endian', 'Convert the file to little-endian.');
  if (version !== 2 && version !== 3)
    throw unsupportedFile(cursor.path, 'the GGUF version', version, 'Versions 2 and 3 are read.');
  return version;
};

const readMetadata = (cursor: GgufCursor, count: number): Map<string, GgufValue> => {
  const metadata = new Map<string, GgufValue>();
  const budget = { values: MAX_ARRAY_VALUES };
  for (let i = 0; i < count; i++) {
    cursor.field = `metadata key ${i}`;
    const key = cursor.string('the length', MAX_KEY_BYTES);
    cursor.field = `metadata ${quoted(key)}`;
    if (metadata.has(key)) throw corruptFile(cursor.path, cursor.field, 'given twice', 'every key must be unique');
    metadata.set(key, readValue(cursor, cursor.u32(), budget, 0));
  }
  return metadata;
};

const readValue = (cursor: GgufCursor, type: number, budget: { values: number }, depth: number): GgufValue => {
  const reader = VALUE_READERS.get(type);
  if (reader) return reader[1](cursor);
  if (type !== ARRAY_TYPE) throw corruptFile(cursor.path, `the type of ${cursor.field}`, type, 'types 0 to 12 exist');
  if (depth === MAX_ARRAY_DEPTH)
    throw corruptFile(cursor.path, cursor.field, 'a deeper array', `arrays may nest ${MAX_ARRAY_DEPTH} deep`);
  const inner = cursor.u32();
  const innerReader = VALUE_READERS.get(inner);
  if (!innerReader && inner !== ARRAY_TYPE)
    throw corruptFile(cursor.path, `the array type of ${cursor.field}`, inner, 'types 0 to 12 exist');
  const count = cursor.count('the array length', innerReader?.[0] ?? 12, budget.values);
  budget.values -= count;
  const values: GgufValue[] = [];
  for (let i = 0; i < count; i++)
    values.push(innerReader ? innerReader[1](cursor) : readValue(cursor, inner, budget, depth + 1));
  return values;
};

interface TensorEntry {
  readonly name: string;
  readonly shape: readonly number[];
  readonly type: GgmlType;
  /** Bytes from the start of the data section. */
  readonly relativeOffset: number;
}

const readTensorEntries = (cursor: GgufCursor, count: number): Map<string, TensorEntry> => {
  const entries = new Map<string, TensorEntry>();
  for (let i = 0; i < count; i++) {
    cursor.field = `tensor ${i}`;
    const name = cursor.string('the name length', MAX_NAME_BYTES);
    cursor.field = `tensor ${quoted(name)}`;
    if (entries.has(name))
      throw corruptFile(cursor.path, cursor.field, 'given twice', 'every tensor name must be unique');
    const dimensionCount = cursor.u32();
    if (dimensionCount > MAX_DIMENSIONS)
      throw corruptFile(
        cursor.path,
        `the dimension count of ${cursor.field}`,
        dimensionCount,
        `at most ${MAX_DIMENSIONS} are allowed`,
      );
    const shape: number[] = [];
    for (let axis = 0; axis < dimensionCount; axis++)
      shape.unshift(cursor.size('a dimension', Number.MAX_SAFE_INTEGER));
    const typeId = cursor.u32();
    const type = GGML_TYPES.get(typeId);
    if (!type) throw unsupportedFile(cursor.path, `the ggml type of ${cursor.field}`, typeId, 'Its size is not known.');
    entries.set(name, { name, shape, type, relativeOffset: cursor.size('the offset', Number.MAX_SAFE_INTEGER) });
  }
  return entries;
};

const alignmentOf = (path: string, metadata: ReadonlyMap<string, GgufValue>): number => {
  const value = metadata.get('general.alignment') ?? DEFAULT_ALIGNMENT;
  if (typeof value === 'number' && value > 0 && value <= MAX_ALIGNMENT && Number.isInteger(Math.log2(value)))
    return value;
  throw corruptFile(path, 'general.alignment', value, `it must be a power of two up to ${MAX_ALIGNMENT}`);
};

const locateTensors = (
  file: BoundedFile,
  entries: ReadonlyMap<string, TensorEntry>,
  dataStart: number,
  alignment: number,
): Map<string, GgufTensor> => {
  const tensors = new Map<string, GgufTensor>();
  for (const { name, shape, type, relativeOffset } of entries.values()) {
    const field = `tensor ${quoted(name)}`;
    const elements = countElements(file.path, name, shape);
    const rowLength = shape.at(-1) ?? 1;
    if (rowLength % type.blockValues !== 0)
      throw corruptFile(
        file.path,
        `the row length of ${field}`,
        rowLength,
        `${type.name} needs a multiple of ${type.blockValues}`,
      );
    if (relativeOffset % alignment !== 0)
      throw corruptFile(file.path, `the offset of ${field}`, relativeOffset, `it must be a multiple of ${alignment}`);
    const byteLength = (elements / type.blockValues) * type.blockBytes;
    const offset = dataStart + relativeOffset;
    tensors.set(name, { name, dtype: type.name, shape, byteLength, file: file.path, offset, type });
  }
  // Holes are padding at least; the specification does not forbid larger ones.
  assertByteSpans(
    file.path,
    [...tensors.values()].map(({ name, offset, byteLength }) => ({ name, start: offset, end: offset + byteLength })),
    { start: dataStart, end: file.size, dense: false },
  );
  return tensors;
};

/** Refuses what parses but would be read wrongly or in part. */
const assertReadable = (
  path: string,
  metadata: ReadonlyMap<string, GgufValue>,
  tensors: ReadonlyMap<string, GgufTensor>,
): void => {
  const parts = metadata.get('split.count');
  if (typeof parts === 'number' && parts > 1)
    throw unsupportedFile(path, 'split.count', parts, 'Merge the parts first: llama-gguf-split --merge.');
  const layout = metadata.get('general.quantization_version') ?? 2;
  if (layout !== 2 && [...tensors.values()].some(({ type }) => type.blockValues > 1))
    throw unsupportedFile(path, 'general.quantization_version', layout, 'Quantize again with a current llama.cpp.');
};
