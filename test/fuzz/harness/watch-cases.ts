/**
 * Runs a target's cases in a thread and watches it: a case that takes too long is ended and reported, the thread's death as well, and the
 * run goes on behind that case in a new thread.
 */
import { Worker } from 'node:worker_threads';
import type { ThreadData } from './case-thread.js';
import type { FuzzInput } from './fuzz-target.js';
import type { CaseCounts, RunLimits } from './run-cases.js';
import type { Finding } from './target-result.js';

export interface WatchLimits extends RunLimits {
  /** Time at work in one case. */
  readonly hangMs: number;
  /** Heap of the thread; a reader that takes more is ended by the engine. */
  readonly maxHeapMb: number;
}

export interface WatchedRun {
  /** Of the thread that ran to the end; the counts of one that was ended are lost with it, all but the number of its cases. */
  readonly counts: CaseCounts | undefined;
  readonly cases: number;
  readonly findings: readonly Finding[];
}

/** Enough to see; a target that hangs everywhere need not be watched doing it. */
const MAX_ENDED = 5;

/** A machine that is busy with other work lets a case wait: only time at work counts, and a limit on the clock for one that sleeps. */
const WALL_FACTOR = 12;

/** Node's exit status where nothing is left to run and a promise is still waited for. */
const NEVER_SETTLED = 13;

export const watchCases = async (
  target: string,
  limits: WatchLimits,
  onProgress: (number: number) => void,
): Promise<WatchedRun> => {
  let counts: CaseCounts | undefined;
  const findings: Finding[] = [];
  const stopAt = Date.now() + limits.seconds * 1000;
  let from = limits.from;
  while (from < limits.to && findings.length < MAX_ENDED && Date.now() < stopAt) {
    const seconds = (stopAt - Date.now()) / 1000;
    const ended = await runThread(target, { ...limits, from, seconds }, onProgress);
    if ('counts' in ended) {
      counts = ended.counts;
      from += counts.cases;
      break;
    }
    findings.push(ended.finding);
    from = (ended.finding.case ?? limits.to) + 1;
  }
  return { counts, cases: Math.min(from, limits.to) - limits.from, findings };
};

type Ended = { readonly counts: CaseCounts } | { readonly finding: Finding };

const startThread = (target: string, limits: WatchLimits, onlyMake: boolean) => {
  const progress = new SharedArrayBuffer(16);
  const workerData: ThreadData = { target, limits, progress, onlyMake };
  const worker = new Worker(new URL('./case-thread.js', import.meta.url), {
    workerData,
    resourceLimits: { maxOldGenerationSizeMb: limits.maxHeapMb },
  });
  return { worker, now: new Float64Array(progress) };
};

const runThread = (target: string, limits: WatchLimits, onProgress: (number: number) => void): Promise<Ended> => {
  const { worker, now } = startThread(target, limits, false);
  return new Promise((resolve) => {
    const end = (ended: Ended): void => {
      clearInterval(timer);
      resolve(ended);
      void worker.terminate();
    };
    const at = (): Pick<Finding, 'case'> => (now[1] === 0 && now[0] === 0 ? {} : { case: now[0]! });
    const spent = createStopwatch(now);
    const timer = setInterval(() => {
      onProgress(now[0]!);
      const { cpuMs, ms } = spent();
      if (cpuMs > limits.hangMs || ms > WALL_FACTOR * limits.hangMs)
        end({
          finding: { kind: 'hang', ...at(), text: `not done after ${ms} ms, ${cpuMs.toFixed(0)} of them at work` },
        });
    }, 200);
    worker.on('message', ({ counts }: { counts: CaseCounts }) => end({ counts }));
    worker.on('error', (thrown: Error) => {
      const kind = Reflect.get(thrown, 'code') === 'ERR_WORKER_OUT_OF_MEMORY' ? 'out of memory' : 'crash';
      end({ finding: { kind, ...at(), text: thrown.stack ?? String(thrown) } });
    });
    worker.on('exit', (code) => {
      const kind = code === NEVER_SETTLED ? 'hang' : 'crash';
      end({ finding: { kind, ...at(), text: `the thread ended with status ${code}` } });
    });
  });
};

/** Of the case under way: time at work, of this process, and time on the clock. */
const createStopwatch = (now: Float64Array): (() => { readonly cpuMs: number; readonly ms: number }) => {
  let seen = { begun: 0, cpu: process.cpuUsage() };
  return () => {
    const begun = now[1]!;
    if (begun !== seen.begun) seen = { begun, cpu: process.cpuUsage() };
    const { user, system } = process.cpuUsage(seen.cpu);
    return begun === 0 ? { cpuMs: 0, ms: 0 } : { cpuMs: (user + system) / 1000, ms: Date.now() - begun };
  };
};

/** The input of one case, made in a thread of its own. */
export const makeInput = (target: string, limits: WatchLimits): Promise<FuzzInput> => {
  const { worker } = startThread(target, limits, true);
  return new Promise((resolve, reject) => {
    worker.once('message', ({ input }: { input: FuzzInput }) => resolve(input));
    worker.once('error', reject);
  });
};
