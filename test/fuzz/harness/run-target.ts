/** Starts a target's process and waits for its result; one that dies is a finding, with the case it was near. */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { FuzzTarget } from './fuzz-target.js';
import type { Order, Word } from './target-process.js';
import type { TargetResult } from './target-result.js';
import type { WatchLimits } from './watch-cases.js';

const MODULE = fileURLToPath(new URL('./target-process.js', import.meta.url));

export const runTarget = ({ name, reads }: FuzzTarget, limits: WatchLimits): Promise<TargetResult> => {
  const child = fork(MODULE, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const order: Order = { target: name, limits };
  child.send(order);
  return new Promise((resolve, reject) => {
    let near = limits.from;
    let result: TargetResult | undefined;
    child.on('message', (word: Word) => {
      if ('result' in word) result = word.result;
      else near = word.progress;
    });
    child.once('error', reject);
    child.once('exit', (code, signal) =>
      resolve(result ?? died(name, reads, limits, near, signal ?? `status ${code}`)),
    );
  });
};

const died = (target: string, reads: string, limits: WatchLimits, near: number, how: string): TargetResult => ({
  target,
  reads,
  seed: limits.seed,
  cases: near - limits.from,
  seconds: 0,
  accepted: 0,
  refused: {},
  defective: 0,
  slowestMs: 0,
  slowestCase: 0,
  warmBytes: 0,
  endBytes: 0,
  rssBytes: 0,
  findings: [{ kind: 'crash', case: near, text: `the process ended with ${how}, at this case or a little behind it` }],
});
