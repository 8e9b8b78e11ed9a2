/** Hands seeds to as many processes as asked for. A search keeps one core busy, so this is what makes use of more of them. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { fault } from '../../shared/errors/fault.js';
import type { Mechanism } from './mechanism.js';
import type { SeedRun } from './run-seed.js';

export interface SeedTask {
  readonly mechanism: Mechanism;
  readonly seed: number;
}

export type SeedAnswer = { readonly run: SeedRun } | { readonly problem: string };

const PROCESS = fileURLToPath(new URL('./seed-process.js', import.meta.url));

/** `onRun` gets each task with its run, in the order in which they end. Throws INTERNAL when a task fails; the others then stop too. */
export async function runTasks(
  tasks: readonly SeedTask[],
  jobs: number,
  onRun: (task: SeedTask, run: SeedRun) => void,
): Promise<void> {
  const waiting = [...tasks];
  const children: ChildProcess[] = [];
  const work = async (): Promise<void> => {
    const child = fork(PROCESS);
    children.push(child);
    for (let task = waiting.shift(); task; task = waiting.shift()) onRun(task, await askFor(child, task));
  };
  try {
    await Promise.all(Array.from({ length: Math.min(jobs, tasks.length) }, work));
  } finally {
    for (const child of children) child.kill();
  }
}

async function askFor(child: ChildProcess, task: SeedTask): Promise<SeedRun> {
  const what = `${task.mechanism.name}, seed ${task.seed}`;
  const settled = new AbortController();
  const answered = once(child, 'message', settled).then(([message]) => message as SeedAnswer);
  const ended = once(child, 'exit', settled).then(
    ([code, signal]): SeedAnswer => ({ problem: `its process ended (${signal ?? code})` }),
  );
  child.send(task);
  const answer = await Promise.race([answered, ended]);
  // Takes the listeners of the other away; it then rejects, which nobody waits for.
  answered.catch(() => {});
  ended.catch(() => {});
  settled.abort();
  if ('problem' in answer) throw fault('INTERNAL', `${what}: ${answer.problem}`);
  return answer.run;
}
