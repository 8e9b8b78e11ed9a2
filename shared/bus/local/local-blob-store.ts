/** Blobs in a folder, one file each, so that an embedded audit with large banks does not grow the heap. The folder goes with the bus. */
import { mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BlobStore } from '../bus.js';
import { assertDigest, checkedBlob } from '../checked-blob.js';
import { contentId } from '../content-id.js';
import { assertBlobSize } from '../message-limits.js';

export interface LocalBlobStore extends BlobStore {
  close(): Promise<void>;
}

export const createLocalBlobStore = (): LocalBlobStore => {
  let folder: Promise<string> | undefined;
  let drafts = 0;
  const pathOf = async (sha256: string): Promise<string> => {
    folder ??= mkdtemp(join(tmpdir(), 'refusalscope-blobs-'));
    return join(await folder, assertDigest(sha256));
  };
  return {
    put: async (bytes) => {
      assertBlobSize(bytes);
      const sha256 = contentId(bytes);
      const path = await pathOf(sha256);
      if (await isFile(path)) return sha256;
      // Renamed into place, so that a reader never sees half a blob.
      const draft = `${path}.${drafts++}`;
      await writeFile(draft, bytes, { mode: 0o600 });
      await rename(draft, path);
      return sha256;
    },
    get: async (sha256) => {
      const path = await pathOf(sha256);
      return (await isFile(path)) ? checkedBlob(sha256, await readFile(path)) : undefined;
    },
    close: async () => {
      if (folder !== undefined) await rm(await folder, { recursive: true, force: true });
      folder = undefined;
    },
  };
};

const isFile = async (path: string): Promise<boolean> => {
  try {
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
};
