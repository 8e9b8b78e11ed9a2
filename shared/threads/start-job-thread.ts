/**
 * The process's handle on a thread that does jobs: jobs in, events and outputs out. Owns the bound on what may wait, cancellation, and
 * what becomes of waiting calls when the thread ends. Prevents: a thread ended in the middle of native code, which takes the process down.
 */
import { Worker } from 'node:worker_threads';
import { fault } from '../errors/fault.js';
import {
  cancelledFault,
  fromFailure,
  type JobTypes,
  type Reply,
  type StartMessage,
  type ToThread,
} from './job-messages.js';

export interface JobThread<Jobs extends JobTypes<Jobs>, Ready = unknown> {
  /** What the thread said when it was ready. */
  readonly ready: Ready;
  /** Throws the job's fault, BUSY, CANCELLED (the signal), or STARTING once the thread has ended. */
  run<Kind extends keyof Jobs>(
    kind: Kind,
    input: Jobs[Kind]['input'],
    signal: AbortSignal,
    onEvent?: (event: Jobs[Kind]['event']) => void,
  ): Promise<Jobs[Kind]['output']>;
  /** Cancels what runs, waits for it, ends the thread. */
  stop(): Promise<void>;
}

export interface JobThreadOptions<Loading> {
  /** The thread's compiled entry, which calls `serveJobs`. */
  readonly entry: URL;
  /** Short name in stack traces and of the service in texts, such as "sae". */
  readonly name: string;
  readonly data?: unknown;
  /** Jobs that may wait or run; the next is told BUSY. */
  readonly maxJobs: number;
  readonly onLoading?: (loading: Loading) => void;
  /** Called if the thread ends by itself. */
  readonly onEnd: (problem: Error) => void;
}

interface Waiting {
  readonly cancelled: Int32Array;
  onEvent(event: unknown): void;
  resolve(output: unknown): void;
  reject(problem: unknown): void;
}

/** Longest that a stop waits for a job which does not look at its cancellation. */
const STOP_LIMIT_MS = 30_000;

/** Resolves once the thread is ready; throws what its loading threw. */
export const startJobThread = async <Jobs extends JobTypes<Jobs>, Ready = unknown, Loading = unknown>(
  options: JobThreadOptions<Loading>,
): Promise<JobThread<Jobs, Ready>> => {
  const { entry, name, data, maxJobs, onLoading = () => {}, onEnd } = options;
  const worker = new Worker(entry, { workerData: data, name });
  const ready = await loaded<Loading, Ready>(worker, onLoading);
  const waiting = new Map<number, Waiting>();
  let ended = false;
  const end = () => {
    ended = true;
    for (const call of waiting.values()) {
      Atomics.store(call.cancelled, 0, 1);
      call.reject(stopped(name));
    }
    waiting.clear();
  };
  worker.on('message', (reply: Reply) => settle(waiting, reply));
  worker.on('error', (problem) => {
    end();
    onEnd(problem);
  });
  worker.on('exit', end);
  let nextId = 0;
  return {
    ready,
    run: (kind, input, signal, onEvent = () => {}) => {
      if (ended) return Promise.reject(stopped(name));
      if (waiting.size >= maxJobs) return Promise.reject(busy(name, waiting.size, maxJobs));
      const post = (message: ToThread<Jobs>) => worker.postMessage(message);
      const cancelled = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
      const request = { id: nextId++, kind, input, cancelled };
      return ask(post, waiting, request, signal, onEvent as (event: unknown) => void);
    },
    stop: async () => {
      end();
      await endGently(worker);
    },
  };
};

const loaded = <Loading, Ready>(worker: Worker, onLoading: (loading: Loading) => void): Promise<Ready> =>
  new Promise((resolve, reject) => {
    worker.once('error', reject);
    const listen = (message: StartMessage<Loading, Ready>): void => {
      if ('loading' in message) {
        onLoading(message.loading);
        return;
      }
      worker.off('message', listen);
      worker.off('error', reject);
      if ('ready' in message) {
        resolve(message.ready);
        return;
      }
      void worker.terminate();
      reject(fromFailure(message.failure));
    };
    worker.on('message', listen);
  });

const ask = <Jobs extends JobTypes<Jobs>, Kind extends keyof Jobs>(
  post: (message: ToThread<Jobs>) => void,
  waiting: Map<number, Waiting>,
  request: {
    readonly id: number;
    readonly kind: Kind;
    readonly input: Jobs[Kind]['input'];
    readonly cancelled: Int32Array;
  },
  signal: AbortSignal,
  onEvent: (event: unknown) => void,
): Promise<Jobs[Kind]['output']> =>
  new Promise((resolve, reject) => {
    const { id, cancelled } = request;
    const release = () => {
      signal.removeEventListener('abort', cancel);
      waiting.delete(id);
    };
    const cancel = () => {
      Atomics.store(cancelled, 0, 1);
      post({ id, cancel: true });
      release();
      reject(cancelledFault());
    };
    if (signal.aborted) {
      reject(cancelledFault());
      return;
    }
    signal.addEventListener('abort', cancel, { once: true });
    waiting.set(id, {
      cancelled,
      onEvent,
      resolve: (output) => {
        release();
        resolve(output as Jobs[Kind]['output']);
      },
      reject: (problem) => {
        release();
        reject(problem);
      },
    });
    post(request);
  });

const settle = (waiting: ReadonlyMap<number, Waiting>, reply: Reply): void => {
  const call = waiting.get(reply.id);
  if (call === undefined) return;
  if ('event' in reply) call.onEvent(reply.event);
  else if ('output' in reply) call.resolve(reply.output);
  else call.reject(fromFailure(reply.failure));
};

/** Ending a thread inside native code brings the whole process down, so the thread is asked to end by itself. */
const endGently = async (worker: Worker): Promise<void> => {
  if (worker.threadId === -1) return;
  const exited = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
  worker.postMessage({ stop: true });
  const force = setTimeout(() => void worker.terminate(), STOP_LIMIT_MS);
  await exited;
  clearTimeout(force);
};

const stopped = (name: string) =>
  fault('STARTING', `The ${name} service is stopping. Try again; another one may answer.`);

const busy = (name: string, count: number, limit: number) =>
  fault('BUSY', `The ${name} service has ${count} jobs; at most ${limit} may wait. Try again later.`);
