/**
 * The file of runs: one line a seed that was run, so that a long table that was cut off goes on where it stopped. A run counts as the
 * same while the mechanism's description and the seed are; the file says nothing of the code, so start a new one after changing that.
 */
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, readFileSync, truncateSync } from 'node:fs';
import { fault } from '../../shared/errors/fault.js';
import type { SeedRun } from './run-seed.js';
import type { SeedTask } from './seed-pool.js';

export interface RunFile {
  get(task: SeedTask): SeedRun | undefined;
  add(task: SeedTask, run: SeedRun): void;
}

interface Line {
  readonly key: string;
  readonly run: SeedRun;
}

/** Without a path runs are kept in memory alone. Throws CONFIG_INVALID for a file of something else. */
export function openRunFile(path: string | undefined): RunFile {
  const runs = new Map<string, SeedRun>();
  if (path !== undefined && existsSync(path)) for (const { key, run } of readLines(path)) runs.set(key, run);
  return {
    get: (task) => runs.get(keyOf(task)),
    add: (task, run) => {
      const key = keyOf(task);
      runs.set(key, run);
      if (path !== undefined) appendFileSync(path, `${JSON.stringify({ key, run } satisfies Line)}\n`);
    },
  };
}

const keyOf = ({ mechanism, seed }: SeedTask): string =>
  `${mechanism.name} ${mechanism.snr ?? 'clean'} ${seed} ${createHash('sha256').update(JSON.stringify(mechanism)).digest('hex').slice(0, 16)}`;

/** A line that was cut off at the end is a run that did not end: it goes. */
function readLines(path: string): Line[] {
  const text = readFileSync(path, 'utf8');
  const lines = text.split('\n');
  if (lines.pop() !== '') truncateSync(path, Buffer.byteLength(text.slice(0, text.lastIndexOf('\n') + 1)));
  return lines.map((line, i) => {
    try {
      return JSON.parse(line) as Line;
    } catch (cause) {
      throw fault('CONFIG_INVALID', `${path}: line ${i + 1} is no run; give a new file`, { cause });
    }
  });
}
