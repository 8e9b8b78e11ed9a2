/** Puts the files of a case where a reader finds them by path, over those of the case before. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { FuzzInput } from '../harness/fuzz-target.js';

/** Writes what differs from what it wrote last; the names of all cases of a target must be the same. */
export const createScratchFiles = (folder: string): ((input: FuzzInput) => string) => {
  const written = new Map<string, Uint8Array>();
  return (input) => {
    for (const [name, bytes] of Object.entries(input)) {
      if (written.get(name) === bytes) continue;
      const path = join(folder, name);
      if (!written.has(name)) mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, bytes);
      written.set(name, bytes);
    }
    return folder;
  };
};
