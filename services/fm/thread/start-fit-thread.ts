/** The process's handle on the fit thread: how many fits may run, cancellation, and what becomes of them when the thread ends. */
import { Worker } from 'node:worker_threads';
import { fault } from '../../../shared/errors/fault.js';
import type { FitProgress } from '../steps.js';
import type { Job, JobKind, Jobs, ThreadReply, ThreadRequest } from './thread-messages.js';

export interface FitThread {
  /** Throws the job's faults, BUSY, CANCELLED (the signal), or STARTING once the thread has ended. */
  run<Kind extends JobKind>(
    kind: Kind,
    input: Jobs[Kind]['input'],
    signal: AbortSignal,
    onProgress?: (progress: FitProgress) => void,
  ): Promise<Jobs[Kind]['output']>;
  stop(): Promise<void>;
}

interface Running {
  resolve(output: unknown): void;
  reject(problem: unknown): void;
  onProgress(progress: FitProgress): void;
}

/** @param onEnd called if the thread ends by itself. */
export function startFitThread(maxRunning: number, onEnd: (problem: Error) => void): FitThread {
  const worker = new Worker(new URL('./fit-thread.js', import.meta.url), { name: 'fm' });
  const running = new Map<number, Running>();
  let ended = false;
  const end = () => {
    ended = true;
    for (const job of running.values()) job.reject(stopped());
    running.clear();
  };
  worker.on('message', (reply: ThreadReply) => settle(running, reply));
  worker.on('error', (problem) => {
    end();
    onEnd(problem);
  });
  worker.on('exit', end);
  let nextId = 0;
  return {
    run: (kind, input, signal, onProgress = () => {}) => {
      if (ended) return Promise.reject(stopped());
      if (running.size >= maxRunning) return Promise.reject(busy(running.size, maxRunning));
      return post(worker, running, { id: nextId++, kind, input }, signal, onProgress);
    },
    stop: async () => {
      end();
      await worker.terminate();
    },
  };
}

function post<Kind extends JobKind>(
  worker: Worker,
  running: Map<number, Running>,
  job: Job<Kind>,
  signal: AbortSignal,
  onProgress: (progress: FitProgress) => void,
): Promise<Jobs[Kind]['output']> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(cancelled());
    const cancel = () => {
      worker.postMessage({ id: job.id, cancel: true } satisfies ThreadRequest);
      running.delete(job.id);
      reject(cancelled());
    };
    signal.addEventListener('abort', cancel, { once: true });
    const release = () => signal.removeEventListener('abort', cancel);
    running.set(job.id, {
      resolve: (output) => {
        release();
        resolve(output as Jobs[Kind]['output']);
      },
      reject: (problem) => {
        release();
        reject(problem);
      },
      onProgress,
    });
    worker.postMessage(job);
  });
}

function settle(running: Map<number, Running>, reply: ThreadReply): void {
  const job = running.get(reply.id);
  if (job === undefined) return;
  if ('progress' in reply) {
    job.onProgress(reply.progress);
    return;
  }
  running.delete(reply.id);
  if ('output' in reply) job.resolve(reply.output);
  else job.reject('fault' in reply ? fault(reply.fault.code, reply.fault.message) : reply.defect);
}

const stopped = () => fault('STARTING', 'The FM service is stopping. Try again; another one may answer.');
const cancelled = () => fault('CANCELLED', 'The caller cancelled, or its deadline passed.');
const busy = (running: number, limit: number) =>
  fault('BUSY', `${running} fits are running; at most ${limit} may. Try again later.`);
