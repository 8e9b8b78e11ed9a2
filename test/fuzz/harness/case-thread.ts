/**
 * The thread that runs cases, so that another can watch it. Before each case it writes its number and the time into shared memory: a thread
 * that hangs can send nothing.
 */
import { rmSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { CONTROLS } from '../targets/controls.js';
import { type RunLimits, runCases } from './run-cases.js';
import { scratchFolder } from './scratch-folder.js';
import { randomOfCase } from './try-case.js';

export interface ThreadData {
  readonly target: string;
  readonly limits: RunLimits;
  /** Two doubles: number of the case under way, and when it began (ms since the epoch; 0: none has). */
  readonly progress: SharedArrayBuffer;
  /** Only make the input of the first case, and send it. */
  readonly onlyMake: boolean;
}

const { target: name, limits, progress, onlyMake } = workerData as ThreadData;
const now = new Float64Array(progress);
const scratch = scratchFolder(name);
// The registry loads every service; a control needs none.
const control = CONTROLS.find((one) => one.name === name);
const target = await (control ?? (await import('../targets/registry.js')).findTarget(name)).open(scratch);
if (onlyMake) parentPort?.postMessage({ input: target.make(randomOfCase(limits.seed, limits.from)) });
else {
  const counts = await runCases(target, limits, (number) => {
    now[0] = number;
    now[1] = Date.now();
  });
  now[1] = 0;
  await target.close?.();
  parentPort?.postMessage({ counts });
}
rmSync(scratch, { recursive: true, force: true });
