/**
 * sha256 of weight files, hashed once: kept in memory and, where a folder is named, on disk under path, size and modification time,
 * so that 32 files of 2 GB are hashed at the first start only. One file is hashed at a time, streamed.
 */
import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { sha256OfFile } from './sha256-of-file.js';

const FILE = 'weight-digests.json';
const DIGEST = /^[0-9a-f]{64}$/;

export class WeightDigests {
  private known: Promise<Map<string, string>> | undefined;
  private queue: Promise<unknown> = Promise.resolve();

  /** `folder` may be absent: then digests live as long as the process. */
  constructor(private readonly folder?: string) {}

  /** Lower-case hex. Throws FILE_NOT_FOUND. */
  digest(file: string): Promise<string> {
    const result = this.queue.then(() => this.lookUp(file));
    this.queue = result.catch(() => {});
    return result;
  }

  private async lookUp(file: string): Promise<string> {
    this.known ??= this.load();
    const known = await this.known;
    const key = await keyOf(file);
    const found = key === undefined ? undefined : known.get(key);
    if (found !== undefined) return found;
    const digest = await sha256OfFile(file);
    if (key !== undefined) known.set(key, digest);
    await this.save(known);
    return digest;
  }

  /** An unreadable or foreign file counts as empty: its digests are made again. */
  private async load(): Promise<Map<string, string>> {
    if (this.folder === undefined) return new Map();
    try {
      const stored: unknown = JSON.parse(await readFile(join(this.folder, FILE), 'utf8'));
      const pairs = Object.entries(stored ?? {}).filter(
        (pair): pair is [string, string] => typeof pair[1] === 'string' && DIGEST.test(pair[1]),
      );
      return new Map(pairs);
    } catch {
      return new Map();
    }
  }

  /** A read-only cache folder costs time at the next start, not this call. */
  private async save(known: ReadonlyMap<string, string>): Promise<void> {
    if (this.folder === undefined) return;
    const target = join(this.folder, FILE);
    const draft = `${target}.${process.pid}`;
    try {
      await mkdir(dirname(target), { recursive: true });
      await writeFile(draft, JSON.stringify(Object.fromEntries(known)));
      await rename(draft, target);
    } catch {}
  }
}

/** Undefined for a file that is not there: reading it will say so. */
const keyOf = async (file: string): Promise<string | undefined> => {
  const facts = await stat(file).catch(() => undefined);
  return facts === undefined ? undefined : `${resolve(file)}|${facts.size}|${facts.mtimeMs}`;
};
