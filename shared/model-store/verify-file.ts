/**
 * Decides whether a file on disk is the expected one. Prevents weights that were cut short or changed from giving
 * plausible numbers. A full hash is taken once; a stamp beside a cached file (size, mtime, inode) makes later starts cheap.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, rename, stat, writeFile } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import type { ModelFile } from './embedded-model.js';

/** SHA-256 of a file as lower-case hex, streamed. */
export const hashFile = async (path: string, signal?: AbortSignal): Promise<string> => {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash, { signal });
  return hash.digest('hex');
};

/** Why `path` is not the expected file, in words; undefined where it is that file. */
export const findMismatch = async (
  path: string,
  model: ModelFile,
  signal?: AbortSignal,
): Promise<string | undefined> => {
  const found = await stat(path).catch(() => undefined);
  if (!found?.isFile()) return `no file at ${path}`;
  if (found.size !== model.bytes) return `${path} has ${found.size} bytes, expected ${model.bytes}`;
  const sha256 = await hashFile(path, signal);
  return sha256 === model.sha256 ? undefined : `${path} has sha256 ${sha256}, expected ${model.sha256}`;
};

interface Stamp {
  readonly sha256: string;
  readonly size: number;
  readonly mtimeMs: number;
  readonly ino: number;
}

const stampPath = (path: string): string => `${path}.checked.json`;

const stampOf = async (path: string, sha256: string): Promise<Stamp> => {
  const { size, mtimeMs, ino } = await stat(path);
  return { sha256, size, mtimeMs, ino };
};

/** Records that the file at `path`, as it is now, was hashed in full. */
export const writeStamp = async (path: string, sha256: string): Promise<void> => {
  const draft = `${stampPath(path)}.${process.pid}`;
  await writeFile(draft, JSON.stringify(await stampOf(path, sha256)));
  await rename(draft, stampPath(path));
};

/** Whether the file at `path` is still the one that was hashed in full. Any doubt gives false. */
export const hasValidStamp = async (path: string, model: ModelFile): Promise<boolean> => {
  try {
    const recorded: unknown = JSON.parse(await readFile(stampPath(path), 'utf8'));
    const now = await stampOf(path, model.sha256);
    return now.size === model.bytes && JSON.stringify(recorded) === JSON.stringify(now);
  } catch {
    return false;
  }
};
