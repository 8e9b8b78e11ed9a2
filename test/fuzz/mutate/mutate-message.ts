/**
 * Mutations of protobuf messages, field by field and at every depth: other numbers, types and values, fields gone, doubled, moved, lengths
 * that lie, and floats that are no numbers. A length-delimited field that parses as a message is taken for one.
 */
import type { SeededRandom } from '../../../shared/random/seeded-random.js';
import { chance, EDGE_TEXTS, edgeInteger, fewOf, one } from './edge-values.js';
import { mutateBytes } from './mutate-bytes.js';

interface Field {
  number: number;
  /** 0 varint, 1 eight bytes, 2 length-delimited, 5 four bytes. */
  type: number;
  /** Of a varint, its value. */
  value: bigint;
  bytes: Uint8Array;
  /** Of a length-delimited field that is a message. */
  fields?: Field[];
}

const MAX_DEPTH = 8;

/** Undefined where the bytes are no message. */
const parse = (bytes: Uint8Array, depth = 0): Field[] | undefined => {
  const fields: Field[] = [];
  const cursor = { at: 0 };
  while (cursor.at < bytes.length) {
    const tag = readVarint(bytes, cursor);
    if (tag === undefined || tag >> 3n === 0n || tag > 0xffffffffn) return undefined;
    const field = readField(bytes, cursor, Number(tag >> 3n), Number(tag & 7n), depth);
    if (field === undefined) return undefined;
    fields.push(field);
  }
  return fields;
};

const readVarint = (bytes: Uint8Array, cursor: { at: number }): bigint | undefined => {
  let value = 0n;
  for (let shift = 0n; shift < 70n; shift += 7n) {
    const byte = bytes[cursor.at++];
    if (byte === undefined) return undefined;
    value |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  return undefined;
};

const readField = (
  bytes: Uint8Array,
  cursor: { at: number },
  number: number,
  type: number,
  depth: number,
): Field | undefined => {
  if (type === 0) {
    const value = readVarint(bytes, cursor);
    return value === undefined ? undefined : { number, type, value, bytes: new Uint8Array() };
  }
  const length = type === 1 ? 8 : type === 5 ? 4 : type === 2 ? Number(readVarint(bytes, cursor) ?? -1n) : -1;
  if (length < 0 || cursor.at + length > bytes.length) return undefined;
  const held = bytes.subarray(cursor.at, cursor.at + length);
  cursor.at += length;
  const fields = type === 2 && length > 0 && depth < MAX_DEPTH ? parse(held, depth + 1) : undefined;
  return { number, type, value: 0n, bytes: held, ...(fields !== undefined && { fields }) };
};

const varint = (value: bigint): Buffer => {
  const bytes: number[] = [];
  let left = value;
  do {
    const low = Number(left & 0x7fn);
    left >>= 7n;
    bytes.push(left > 0n ? low | 0x80 : low);
  } while (left > 0n);
  return Buffer.from(bytes);
};

const encode = (fields: readonly Field[]): Buffer => Buffer.concat(fields.map(encodeField));

const encodeField = ({ number, type, value, bytes, fields }: Field): Buffer => {
  const tag = varint((BigInt(number) << 3n) | BigInt(type));
  if (type === 0) return Buffer.concat([tag, varint(value)]);
  const held = fields === undefined ? bytes : encode(fields);
  return type === 2 ? Buffer.concat([tag, varint(BigInt(held.length)), held]) : Buffer.concat([tag, held]);
};

/** Each list of fields, of the message and of those inside it. */
const listsIn = (fields: Field[], found: Field[][] = []): Field[][] => {
  if (fields.length > 0) found.push(fields);
  for (const field of fields) if (field.fields !== undefined) listsIn(field.fields, found);
  return found;
};

const FLOATS = [
  0,
  -0,
  1,
  -1,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  3.4e38,
  1e-45,
  1e300,
  1e-300,
];

const edgeFloat = (random: SeededRandom, width: number): Buffer => {
  const bytes = Buffer.alloc(width);
  const value = one(random, FLOATS);
  if (width === 4) bytes.writeFloatLE(value);
  else bytes.writeDoubleLE(value);
  return bytes;
};

const changeValue = (random: SeededRandom, field: Field): void => {
  if (field.type === 0) field.value = chance(random, 0.5) ? edgeInteger(random) : BigInt(random.below(40));
  else if (field.type === 1 || field.type === 5) field.bytes = edgeFloat(random, field.type === 1 ? 8 : 4);
  else if (chance(random, 0.3)) {
    delete field.fields;
    field.bytes = Buffer.from(one(random, EDGE_TEXTS));
  } else {
    const held = field.fields === undefined ? field.bytes : encode(field.fields);
    delete field.fields;
    field.bytes = chance(random, 0.3) ? floatsOver(random, held) : mutateBytes(random, [held], 2);
  }
};

/** Matrices are bytes of float32. */
const floatsOver = (random: SeededRandom, bytes: Uint8Array): Uint8Array => {
  const copy = Buffer.from(bytes);
  const places = Math.floor(copy.length / 4);
  if (places > 0) edgeFloat(random, 4).copy(copy, 4 * random.below(places));
  return copy;
};

type MessageChange = (random: SeededRandom, list: Field[], at: number, lists: readonly Field[][]) => void;

const value: MessageChange = (random, list, at) => changeValue(random, list[at]!);

const drop: MessageChange = (_random, list, at) => {
  list.splice(at, 1);
};

const double: MessageChange = (random, list, at) => {
  const copies = Array.from({ length: fewOf(random, 60) }, () => structuredClone(list[at]!));
  list.splice(at, 0, ...copies);
};

const renumber: MessageChange = (random, list, at) => {
  list[at]!.number = chance(random, 0.7) ? 1 + random.below(20) : 1 + random.below(0x1fffffff);
};

const retype: MessageChange = (random, list, at) => {
  list[at]!.type = random.below(8);
};

const graft: MessageChange = (random, list, at, lists) => {
  list.splice(at, 0, structuredClone(one(random, one(random, lists))));
};

const CHANGES: readonly MessageChange[] = [value, value, value, value, drop, double, renumber, retype, graft];
const MAX_BYTES = 1 << 20;

/** A changed copy of one of the seeds; now and then its raw bytes are changed as well, or it is noise. */
export const mutateMessage = (random: SeededRandom, seeds: readonly Uint8Array[], mostChanges = 5): Buffer => {
  const seed = one(random, seeds);
  const fields = parse(seed);
  if (fields === undefined || chance(random, 0.1)) return mutateBytes(random, seeds);
  for (let left = fewOf(random, mostChanges); left > 0; left--) {
    const lists = listsIn(fields);
    if (lists.length === 0) break;
    const list = one(random, lists);
    one(random, CHANGES)(random, list, random.below(list.length), lists);
  }
  const bytes = encode(fields);
  const changed = chance(random, 0.05) ? mutateBytes(random, [bytes], 2) : bytes;
  return changed.length > MAX_BYTES ? changed.subarray(0, MAX_BYTES) : changed;
};
