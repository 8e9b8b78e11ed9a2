/**
 * Streams one member out of a zip file (a Python wheel) to disk, hashing on the way, so that no more than a few chunks are
 * in memory. The archive is not trusted: it may be cut short, or claim sizes that it does not have.
 * Format: APPNOTE.TXT 6.3.9, sections 4.3.7, 4.3.12 and 4.3.16; zip64 is refused, as no archive here needs it.
 */
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { PassThrough, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createInflateRaw } from 'node:zlib';
import { fault } from '../errors/fault.js';

const END_SIGNATURE = 0x06054b50;
const ENTRY_SIGNATURE = 0x02014b50;
const LOCAL_SIGNATURE = 0x04034b50;
const END_BYTES = 22;
const ENTRY_BYTES = 46;
const LOCAL_BYTES = 30;
/** The end record may be followed by a comment of at most 65,535 bytes. */
const MAX_TAIL_BYTES = END_BYTES + 65_535;
/** A wheel lists a few files; more than this is not a file list but an attack. */
const MAX_DIRECTORY_BYTES = 1 << 20;

interface Member {
  readonly method: number;
  readonly compressedBytes: number;
  readonly bytes: number;
  readonly headerOffset: number;
}

const corrupt = (path: string, what: string) =>
  fault('TENSOR_FILE_CORRUPT', `${path} is not a sound zip file: ${what}. Fetch it again.`);

const readAt = async (file: FileHandle, path: string, offset: number, length: number): Promise<Buffer> => {
  const buffer = Buffer.alloc(length);
  const { bytesRead } = await file.read(buffer, 0, length, offset);
  if (bytesRead !== length) throw corrupt(path, `${length} bytes wanted at ${offset}, ${bytesRead} there`);
  return buffer;
};

const readDirectory = async (file: FileHandle, path: string): Promise<Buffer> => {
  const { size } = await file.stat();
  const tailBytes = Math.min(size, MAX_TAIL_BYTES);
  const tail = await readAt(file, path, size - tailBytes, tailBytes);
  for (let at = tail.length - END_BYTES; at >= 0; at--) {
    if (tail.readUInt32LE(at) !== END_SIGNATURE) continue;
    const bytes = tail.readUInt32LE(at + 12);
    const offset = tail.readUInt32LE(at + 16);
    if (bytes > MAX_DIRECTORY_BYTES || offset + bytes > size) throw corrupt(path, 'its file list points past the end');
    return readAt(file, path, offset, bytes);
  }
  throw corrupt(path, 'it has no file list (cut short?)');
};

const findMember = (directory: Buffer, path: string, name: string): Member => {
  for (let at = 0; at + ENTRY_BYTES <= directory.length; ) {
    if (directory.readUInt32LE(at) !== ENTRY_SIGNATURE) throw corrupt(path, 'its file list is damaged');
    const nameBytes = directory.readUInt16LE(at + 28);
    const entryName = directory.toString('utf8', at + ENTRY_BYTES, at + ENTRY_BYTES + nameBytes);
    if (entryName === name || entryName.endsWith(`/${name}`))
      return {
        method: directory.readUInt16LE(at + 10),
        compressedBytes: directory.readUInt32LE(at + 20),
        bytes: directory.readUInt32LE(at + 24),
        headerOffset: directory.readUInt32LE(at + 42),
      };
    at += ENTRY_BYTES + nameBytes + directory.readUInt16LE(at + 30) + directory.readUInt16LE(at + 32);
  }
  throw corrupt(path, `it holds no ${name}`);
};

const readDataOffset = async (file: FileHandle, path: string, member: Member): Promise<number> => {
  const local = await readAt(file, path, member.headerOffset, LOCAL_BYTES);
  if (local.readUInt32LE(0) !== LOCAL_SIGNATURE) throw corrupt(path, 'a member does not start where the list says');
  return member.headerOffset + LOCAL_BYTES + local.readUInt16LE(26) + local.readUInt16LE(28);
};

const inflaterOf = (path: string, method: number) => {
  if (method === 0) return new PassThrough();
  if (method === 8) return createInflateRaw();
  throw corrupt(path, `compression method ${method} is neither stored nor deflate`);
};

/**
 * Writes member `name` (its last path part) of the zip at `zipPath` to `outPath` and gives its SHA-256 (hex). `expectedBytes`
 * bounds the output. Throws TENSOR_FILE_CORRUPT on a damaged archive; `onBytes` gets the bytes written so far.
 */
export const extractZipMember = async (
  zipPath: string,
  name: string,
  outPath: string,
  options: {
    readonly expectedBytes: number;
    readonly onBytes?: (bytes: number) => void;
    readonly signal?: AbortSignal;
  },
): Promise<string> => {
  const file = await open(zipPath, 'r');
  try {
    const member = findMember(await readDirectory(file, zipPath), zipPath, name);
    if (member.bytes !== options.expectedBytes)
      throw corrupt(zipPath, `${name} has ${member.bytes} bytes in it, expected ${options.expectedBytes}`);
    const start = await readDataOffset(file, zipPath, member);
    const hash = createHash('sha256');
    let bytes = 0;
    const tap = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        bytes += chunk.length;
        if (bytes > options.expectedBytes) return done(corrupt(zipPath, `${name} unpacks to more than it says`));
        hash.update(chunk);
        options.onBytes?.(bytes);
        done(null, chunk);
      },
    });
    const source = createReadStream(zipPath, {
      start,
      end: start + Math.max(member.compressedBytes, 1) - 1,
      highWaterMark: 1 << 18,
    });
    const sink = createWriteStream(outPath, { flush: true });
    await pipeline(source, inflaterOf(zipPath, member.method), tap, sink, { signal: options.signal });
    return hash.digest('hex');
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException;
    if (code?.startsWith('Z_')) throw corrupt(zipPath, `${name} does not unpack (${code})`);
    throw thrown;
  } finally {
    await file.close();
  }
};
