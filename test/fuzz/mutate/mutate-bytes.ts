/**
 * Mutations of raw bytes: bits, integers of every width at any place, cuts, copies and splices of another seed. The front is hit most,
 * since headers, counts and offsets stand there.
 */
import type { SeededRandom } from '../../../shared/random/seeded-random.js';
import { chance, edgeInteger, fewOf, one } from './edge-values.js';

type ByteChange = (random: SeededRandom, bytes: Buffer, others: readonly Uint8Array[]) => Buffer;

/** Squared, so that headers are hit more often than data. */
const placeIn = (random: SeededRandom, length: number): number =>
  Math.floor((chance(random, 0.7) ? random.uniform() ** 2 : random.uniform()) * length);

const flipBit: ByteChange = (random, bytes) => {
  const at = placeIn(random, bytes.length);
  bytes[at] = bytes[at]! ^ (1 << random.below(8));
  return bytes;
};

const setByte: ByteChange = (random, bytes) => {
  bytes[placeIn(random, bytes.length)] = random.below(256);
  return bytes;
};

const setInteger: ByteChange = (random, bytes) => {
  const width = one(random, [1, 2, 4, 8]);
  if (bytes.length < width) return bytes;
  const pattern = Buffer.alloc(8);
  pattern.writeBigUInt64LE(edgeInteger(random));
  pattern.copy(bytes, placeIn(random, bytes.length - width + 1), 0, width);
  return bytes;
};

/** A length or an offset that is only a little wrong. */
const shiftInteger: ByteChange = (random, bytes) => {
  if (bytes.length < 4) return bytes;
  const at = placeIn(random, bytes.length - 3);
  const delta = random.below(65) - 32;
  bytes.writeUInt32LE((bytes.readUInt32LE(at) + delta) >>> 0, at);
  return bytes;
};

const cut: ByteChange = (random, bytes) => bytes.subarray(0, random.below(bytes.length + 1));

const remove: ByteChange = (random, bytes) => {
  const at = placeIn(random, bytes.length);
  return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + fewOf(random, 64))]);
};

const insert: ByteChange = (random, bytes) => {
  const at = placeIn(random, bytes.length + 1);
  const noise = Buffer.from(Array.from({ length: fewOf(random, 64) }, () => random.below(256)));
  return Buffer.concat([bytes.subarray(0, at), noise, bytes.subarray(at)]);
};

const repeat: ByteChange = (random, bytes) => {
  const at = placeIn(random, bytes.length);
  const piece = bytes.subarray(at, at + fewOf(random, 128));
  const copies = Array.from({ length: fewOf(random, 32) }, () => piece);
  return Buffer.concat([bytes.subarray(0, at), ...copies, bytes.subarray(at)]);
};

const splice: ByteChange = (random, bytes, others) => {
  const other = one(random, others);
  const [from, to] = [random.below(bytes.length + 1), random.below(other.length + 1)];
  return Buffer.concat([bytes.subarray(0, from), other.subarray(to)]);
};

const CHANGES: readonly ByteChange[] = [
  flipBit,
  flipBit,
  setByte,
  setInteger,
  setInteger,
  setInteger,
  shiftInteger,
  shiftInteger,
  cut,
  remove,
  insert,
  repeat,
  splice,
];

/** Longer inputs would only measure the disk. */
const MAX_BYTES = 1 << 20;

/** A changed copy of one of the seeds. */
export const mutateBytes = (random: SeededRandom, seeds: readonly Uint8Array[], mostChanges = 6): Buffer => {
  let bytes = Buffer.from(one(random, seeds));
  for (let left = fewOf(random, mostChanges); left > 0 && bytes.length > 0; left--)
    bytes = one(random, CHANGES)(random, bytes, seeds) as typeof bytes;
  return bytes.length > MAX_BYTES ? bytes.subarray(0, MAX_BYTES) : bytes;
};

export const randomBytes = (random: SeededRandom, length: number): Buffer => {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length; at++) bytes[at] = random.below(256);
  return bytes;
};
