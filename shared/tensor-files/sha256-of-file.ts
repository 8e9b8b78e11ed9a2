/** The sha256 of a file as a lower-case hex string, streamed, so that a file of any size can be checked against its published hash. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { fault } from '../errors/fault.js';

/** Called after each chunk with bytes hashed so far and bytes in total. */
export type HashProgress = (doneBytes: number, totalBytes: number) => void;

/** Faults: FILE_NOT_FOUND (missing, unreadable, or not a regular file), CANCELLED (the signal). */
export const sha256OfFile = async (
  path: string,
  options: { readonly onProgress?: HashProgress; readonly signal?: AbortSignal } = {},
): Promise<string> => {
  const { onProgress, signal } = options;
  try {
    const facts = await stat(path);
    if (!facts.isFile()) throw new Error('not a regular file');
    const hash = createHash('sha256');
    let done = 0;
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20, signal }) as AsyncIterable<Buffer>) {
      hash.update(chunk);
      done += chunk.length;
      onProgress?.(done, facts.size);
    }
    return hash.digest('hex');
  } catch (cause) {
    if (signal?.aborted) throw fault('CANCELLED', `Hashing ${path} was cancelled.`, { cause });
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw fault('FILE_NOT_FOUND', `${path} cannot be read (${reason}). Check the path and its permissions.`, { cause });
  }
};
