/** A folder for a target's files, in memory where the system has such a place: the readers are tested, not the disk. */
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const MEMORY = '/dev/shm';

export const scratchFolder = (name: string): string =>
  mkdtempSync(join(existsSync(MEMORY) ? MEMORY : tmpdir(), `refusalscope-fuzz-${name}-`));
