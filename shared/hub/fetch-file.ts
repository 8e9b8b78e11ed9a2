/**
 * One file of a hub repository onto the disk: goes on where an earlier attempt ended, and gets its name only once its hash is right.
 * Prevents: weights that are cut short or changed under way from ever being opened.
 */
import { createHash, type Hash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { fault, isFault } from '../errors/fault.js';
import { type HubAccess, type HubFile, type HubPlace, openHubFile } from './hub-client.js';

export interface FetchFileOptions extends HubAccess {
  readonly onBytes?: (bytes: number) => void;
  /** Between attempts. Default 1 s, growing. */
  readonly retryDelayMs?: number;
}

/** Attempts in a row that bring nothing new. */
const FRUITLESS_ATTEMPTS = 4;
const RETRY_DELAY_MS = 1_000;

/** Resolves at once if the file is there. Throws MODEL_UNAVAILABLE; what was fetched stays, unless its hash is wrong. */
export async function fetchFile(
  place: HubPlace,
  file: HubFile,
  target: string,
  options: FetchFileOptions,
): Promise<void> {
  if ((await sizeOf(target)) === file.bytes) {
    options.onBytes?.(file.bytes);
    return;
  }
  await mkdir(dirname(target), { recursive: true });
  const part = `${target}.part`;
  await transfer(place, file, part, options);
  const found = await hashOf(part, file);
  if (found !== file.hash.hex) {
    await rm(part);
    throw fault(
      'MODEL_UNAVAILABLE',
      `${file.path} of ${place.repo} has the ${file.hash.kind} ${found}; the hub says ${file.hash.hex}. It was deleted: try again.`,
    );
  }
  await rename(part, target);
}

async function transfer(place: HubPlace, file: HubFile, part: string, options: FetchFileOptions): Promise<void> {
  const { onBytes = () => {}, retryDelayMs = RETRY_DELAY_MS } = options;
  let have = await sizeOf(part);
  if (have > file.bytes) {
    await rm(part);
    have = 0;
  }
  onBytes(have);
  for (let fruitless = 0; have < file.bytes; ) {
    const before = have;
    const problem = await appendFrom(place, file, part, have, options).catch((cause: unknown) => cause);
    have = await sizeOf(part);
    onBytes(have - before);
    if (have > file.bytes) {
      await rm(part);
      throw fault(
        'MODEL_UNAVAILABLE',
        `${file.path} of ${place.repo} is longer than the ${file.bytes} bytes that the hub says.`,
      );
    }
    if (have === file.bytes) return;
    fruitless = have > before ? 0 : fruitless + 1;
    if (isFault(problem) && !/cannot be reached|answered 5|answered 429/.test(problem.message)) throw problem;
    if (fruitless === FRUITLESS_ATTEMPTS)
      throw fault(
        'MODEL_UNAVAILABLE',
        `${file.path} of ${place.repo} broke off at ${have} of ${file.bytes} bytes, ${fruitless} times. What is there is kept: pull again to go on.`,
        { cause: problem },
      );
    await sleep(retryDelayMs * (fruitless + 1));
  }
}

async function appendFrom(
  place: HubPlace,
  file: HubFile,
  part: string,
  from: number,
  access: HubAccess,
): Promise<void> {
  const stream = await openHubFile(place, file.path, from, access);
  await pipeline(
    Readable.fromWeb(stream as Parameters<typeof Readable.fromWeb>[0]),
    createWriteStream(part, { flags: 'a' }),
  );
}

async function hashOf(path: string, { hash, bytes }: HubFile): Promise<string> {
  const digest: Hash = createHash(hash.kind === 'sha256' ? 'sha256' : 'sha1');
  // What git hashes: a header, then the content.
  if (hash.kind === 'git-sha1') digest.update(`blob ${bytes}\0`);
  await pipeline(createReadStream(path), digest);
  return digest.digest('hex');
}

const sizeOf = async (path: string): Promise<number> => {
  try {
    return (await stat(path)).size;
  } catch {
    return 0;
  }
};
