/**
 * The audit log: who edited what. Append-only lines of JSON, each with the sha256 of the line before it, so that a changed, removed or
 * inserted line shows (`refusalscope audit-log verify FILE`). Prevents: an edit that ran and left no trace, as the line is written before the call runs.
 */
import { createHash } from 'node:crypto';
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fault } from '../errors/fault.js';

/** What a caller of `append` may say: ids, digests, counts. Never the text of a prompt or an answer. */
export type AuditFacts = Readonly<Record<string, unknown>>;

export interface AuditLog {
  /** Resolves once the line is written. Throws what the file system throws: then the call must not run. */
  append(facts: AuditFacts): Promise<void>;
  close(): Promise<void>;
}

/** The hash that the first line names as that of the line before it. */
export const FIRST_PREVIOUS = '0'.repeat(64);
const NEWLINE = 10;

export const hashLine = (line: string | Uint8Array): string => createHash('sha256').update(line).digest('hex');

/** Goes on with the chain that is in the file. Half a line at its end (a kill in the middle of a write) is cut off, and a line says so. */
export const openAuditLog = async (path: string, now: () => Date = () => new Date()): Promise<AuditLog> => {
  const file = await openForAppend(path);
  const tail = await readTail(file, path).catch(async (thrown: unknown) => {
    await file.close();
    throw thrown;
  });
  await file.truncate(tail.size);
  let { previous, sequence, size } = tail;
  let writing: Promise<void> = Promise.resolve();
  const write = async (facts: AuditFacts): Promise<void> => {
    const line = JSON.stringify({ sequence, time: now().toISOString(), previous, ...facts });
    try {
      await file.appendFile(`${line}\n`);
    } catch (thrown) {
      // A full disk takes part of a line: the next one must not be glued to it.
      await file.truncate(size).catch(() => undefined);
      throw thrown;
    }
    previous = hashLine(line);
    sequence += 1;
    size += Buffer.byteLength(line) + 1;
  };
  const append = (facts: AuditFacts): Promise<void> => {
    const written = writing.then(() => write(facts));
    // The next line does not depend on whether this one could be written.
    writing = written.catch(() => undefined);
    return written;
  };
  if (tail.tornBytes > 0) await append({ event: 'recovered', tornBytes: tail.tornBytes, tornSha256: tail.tornSha256 });
  const close = async (): Promise<void> => {
    await writing;
    await file.datasync().catch(() => undefined);
    await file.close();
  };
  return { append, close };
};

const openForAppend = async (path: string): Promise<FileHandle> => {
  try {
    await mkdir(dirname(path), { recursive: true });
    return await open(path, 'a+', 0o600);
  } catch (cause) {
    throw fault('CONFIG_INVALID', `The audit log ${path} cannot be opened for writing.`, { cause });
  }
};

interface Tail {
  readonly previous: string;
  readonly sequence: number;
  /** Bytes of whole lines. */
  readonly size: number;
  readonly tornBytes: number;
  readonly tornSha256: string;
}

// Longer than a line about the largest prompt set; doubled where it is not enough.
const TAIL_BYTES = 1 << 20;

const readTail = async (file: FileHandle, path: string): Promise<Tail> => {
  const { size } = await file.stat();
  let window = Buffer.alloc(0);
  for (let bytes = TAIL_BYTES; window.length < size && countLineEnds(window) < 2; bytes *= 2) {
    window = Buffer.alloc(Math.min(bytes, size));
    await file.read(window, 0, window.length, size - window.length);
  }
  const end = window.lastIndexOf(NEWLINE) + 1;
  const torn = window.subarray(end);
  const facts = { size: size - torn.length, tornBytes: torn.length, tornSha256: hashLine(torn) };
  if (end === 0) return { previous: FIRST_PREVIOUS, sequence: 1, ...facts };
  const line = window.subarray(end < 2 ? 0 : window.lastIndexOf(NEWLINE, end - 2) + 1, end - 1);
  return { previous: hashLine(line), sequence: sequenceOf(line, path) + 1, ...facts };
};

const countLineEnds = (window: Buffer): number => window.filter((byte) => byte === NEWLINE).length;

const sequenceOf = (line: Uint8Array, path: string): number => {
  try {
    const sequence: unknown = JSON.parse(new TextDecoder().decode(line)).sequence;
    if (Number.isSafeInteger(sequence)) return sequence as number;
  } catch {
    // Told below.
  }
  throw fault(
    'CONFIG_INVALID',
    `The last line of ${path} is no line of an audit log. Look at it with \`refusalscope audit-log verify\`, and move the file away.`,
  );
};
