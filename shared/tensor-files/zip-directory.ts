/**
 * Lists the entries of a zip file from its central directory, with zip64, and finds their data. Owns half of the
 * defence against zip bombs: entries may not overlap (one stream counted many times) and sizes must be possible for deflate.
 * zip-inflate.ts has the other half. Format: PKWARE APPNOTE 6.3.
 */
import { isUtf8 } from 'node:buffer';
import type { BoundedFile } from './bounded-file.js';
import { assertByteSpans } from './byte-spans.js';
import { corruptFile, quoted, unsupportedFile } from './tensor-file-faults.js';

export interface ZipEntry {
  readonly name: string;
  readonly compressed: boolean;
  readonly crc32: number;
  /** Bytes in the file. */
  readonly storedLength: number;
  /** Bytes once inflated. */
  readonly length: number;
  /** Absolute byte of the entry's data. */
  readonly dataOffset: number;
}

const END_SIGNATURE = 0x06054b50;
const END64_LOCATOR_SIGNATURE = 0x07064b50;
const END64_SIGNATURE = 0x06064b50;
const CENTRAL_SIGNATURE = 0x02014b50;
const LOCAL_SIGNATURE = 0x04034b50;
const END_BYTES = 22;
const CENTRAL_BYTES = 46;
const LOCAL_BYTES = 30;
const MAX_COMMENT_BYTES = 0xffff;
const SEE_ZIP64 = 0xffffffff;
/** An npz holds a few arrays; a PyTorch zip, which is recognised and refused later, some thousands of entries. */
const MAX_ENTRIES = 20_000;
const MAX_DIRECTORY_BYTES = 16 << 20;
/** Deflate's best ratio: 258 bytes out of 2 bits, with a margin for the block header. */
const MAX_DEFLATE_RATIO = 1032;

export const readZipDirectory = (file: BoundedFile): readonly ZipEntry[] => {
  const { count, start, length } = findDirectory(file);
  const directory = readBuffer(file, start, length, 'the zip directory');
  const central: CentralEntry[] = [];
  for (let i = 0, at = 0; i < count; i++) {
    const entry = parseCentral(file.path, directory, at);
    central.push(entry);
    at = entry.next;
  }
  const entries = central.map((entry) => locate(file, entry));
  const spans = entries.map((entry, i) => ({
    name: entry.name,
    start: central[i]!.localOffset,
    end: entry.dataOffset + entry.storedLength,
  }));
  assertByteSpans(file.path, spans, { start: 0, end: start, dense: false });
  return entries;
};

const readBuffer = (file: BoundedFile, offset: number, length: number, what: string): Buffer =>
  Buffer.from(file.read(offset, length, what).buffer);

/** Reads a 64-bit number that must not exceed `limit`. */
const readSize = (path: string, buffer: Buffer, at: number, field: string, limit: number): number => {
  const value = buffer.readBigUInt64LE(at);
  if (value > BigInt(limit)) throw corruptFile(path, field, value, `it must be at most ${limit}`);
  return Number(value);
};

const findDirectory = (file: BoundedFile): { count: number; start: number; length: number } => {
  const tailStart = Math.max(0, file.size - END_BYTES - MAX_COMMENT_BYTES);
  const tail = readBuffer(file, tailStart, file.size - tailStart, 'the end of the zip file');
  let at = tail.length - END_BYTES;
  while (
    at >= 0 &&
    !(tail.readUInt32LE(at) === END_SIGNATURE && at + END_BYTES + tail.readUInt16LE(at + 20) === tail.length)
  )
    at--;
  if (at < 0)
    throw corruptFile(file.path, 'the end record of the zip file', 'absent', 'the file is cut short or no zip file');
  const end = tailStart + at;
  let count = tail.readUInt16LE(at + 10);
  let length = tail.readUInt32LE(at + 12);
  let start = tail.readUInt32LE(at + 16);
  if (count === 0xffff || length === SEE_ZIP64 || start === SEE_ZIP64) {
    const locator = readBuffer(file, Math.max(0, end - 20), 20, 'the zip64 locator');
    const at64 = readSize(file.path, locator, 8, 'the offset of the zip64 end record', file.size);
    const end64 = readBuffer(file, at64, 56, 'the zip64 end record');
    if (locator.readUInt32LE(0) !== END64_LOCATOR_SIGNATURE || end64.readUInt32LE(0) !== END64_SIGNATURE)
      throw corruptFile(file.path, 'the zip64 end record', 'absent', 'the end record refers to it');
    count = readSize(file.path, end64, 32, 'the entry count', MAX_ENTRIES);
    length = readSize(file.path, end64, 40, 'the length of the zip directory', MAX_DIRECTORY_BYTES);
    start = readSize(file.path, end64, 48, 'the offset of the zip directory', file.size);
  }
  if (count > MAX_ENTRIES) throw corruptFile(file.path, 'the entry count', count, `it must be at most ${MAX_ENTRIES}`);
  if (length > MAX_DIRECTORY_BYTES || start + length > end)
    throw corruptFile(
      file.path,
      'the end of the zip directory',
      `byte ${start + length}`,
      `the end record starts at byte ${end}`,
    );
  return { count, start, length };
};

interface CentralEntry {
  readonly name: string;
  readonly compressed: boolean;
  readonly crc32: number;
  readonly storedLength: number;
  readonly length: number;
  readonly localOffset: number;
  /** Where the next entry begins in the directory. */
  readonly next: number;
}

const parseCentral = (path: string, directory: Buffer, at: number): CentralEntry => {
  const cutShort = () => corruptFile(path, 'the zip directory', 'cut short', 'it must hold every entry that it counts');
  if (at + CENTRAL_BYTES > directory.length) throw cutShort();
  if (directory.readUInt32LE(at) !== CENTRAL_SIGNATURE)
    throw corruptFile(path, 'an entry of the zip directory', 'not one', 'its signature is wrong');
  const nameEnd = at + CENTRAL_BYTES + directory.readUInt16LE(at + 28);
  const extraEnd = nameEnd + directory.readUInt16LE(at + 30);
  const next = extraEnd + directory.readUInt16LE(at + 32);
  if (next > directory.length) throw cutShort();
  const nameBytes = directory.subarray(at + CENTRAL_BYTES, nameEnd);
  if (!isUtf8(nameBytes)) throw corruptFile(path, 'an entry name', 'not UTF-8', 'names must be UTF-8');
  const name = nameBytes.toString('utf8');
  if (directory.readUInt16LE(at + 8) & 1)
    throw unsupportedFile(path, `entry ${quoted(name)}`, 'encrypted', 'Store it plain.');
  const method = directory.readUInt16LE(at + 10);
  if (method !== 0 && method !== 8)
    throw unsupportedFile(path, `the compression of entry ${quoted(name)}`, method, '0 (stored) and 8 (deflate) are.');
  const wide = zip64Fields(path, name, directory.subarray(nameEnd, extraEnd));
  const size = (offset: number): number => {
    const value = directory.readUInt32LE(at + offset);
    return value === SEE_ZIP64 ? wide() : value;
  };
  // The order in which the zip64 field lists them: length, stored length, offset.
  const length = size(24);
  const storedLength = size(20);
  return {
    name,
    compressed: method === 8,
    crc32: directory.readUInt32LE(at + 16),
    storedLength,
    length,
    localOffset: size(42),
    next,
  };
};

/** Gives, one after the other, the 64-bit values of the zip64 extra field (id 1). */
const zip64Fields = (path: string, name: string, extra: Buffer): (() => number) => {
  let at = 0;
  let end = 0;
  for (let p = 0; p + 4 <= extra.length && end === 0; p += 4 + extra.readUInt16LE(p + 2))
    if (extra.readUInt16LE(p) === 1) {
      at = p + 4;
      end = Math.min(extra.length, at + extra.readUInt16LE(p + 2));
    }
  return () => {
    const field = `a zip64 size of entry ${quoted(name)}`;
    if (at + 8 > end) throw corruptFile(path, field, 'absent', 'the entry refers to it');
    at += 8;
    return readSize(path, extra, at - 8, field, Number.MAX_SAFE_INTEGER);
  };
};

const locate = (file: BoundedFile, entry: CentralEntry): ZipEntry => {
  const { name, compressed, crc32, storedLength, length, localOffset } = entry;
  const field = `entry ${quoted(name)}`;
  const nameBytes = Buffer.from(name);
  const local = readBuffer(file, localOffset, LOCAL_BYTES + nameBytes.length, `the local header of ${field}`);
  if (
    local.readUInt32LE(0) !== LOCAL_SIGNATURE ||
    !local.subarray(LOCAL_BYTES).equals(nameBytes) ||
    local.readUInt16LE(26) !== nameBytes.length
  )
    throw corruptFile(file.path, `the local header of ${field}`, 'another', 'it must repeat the directory');
  if (compressed ? length > (storedLength + 1) * MAX_DEFLATE_RATIO : length !== storedLength)
    throw corruptFile(file.path, `the length of ${field}`, length, `it is stored in ${storedLength} bytes`);
  const dataOffset = localOffset + LOCAL_BYTES + nameBytes.length + local.readUInt16LE(28);
  return { name, compressed, crc32, storedLength, length, dataOffset };
};
