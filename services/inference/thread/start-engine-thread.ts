/**
 * The process's handle on the engine's thread: jobs in, streams of events out. Owns cancellation, the bound on what may wait, and
 * what becomes of waiting calls when the thread ends.
 */
import { Worker } from 'node:worker_threads';
import { fault } from '../../../shared/errors/fault.js';
import type { EngineOptions, JobKind, Jobs, PlainFault, ReadyEngine, Reply, StartMessage } from './messages.js';

export interface EngineThread extends ReadyEngine {
  /**
   * Runs a job; `onEvent` gets what it streams. Throws the job's fault, CANCELLED when the signal aborts, STARTING once the thread
   * has ended.
   */
  run<Kind extends JobKind>(
    kind: Kind,
    input: Jobs[Kind]['input'],
    signal: AbortSignal,
    onEvent?: (event: Jobs[Kind]['event']) => void,
  ): Promise<Jobs[Kind]['output']>;
  stop(): Promise<void>;
}

interface Waiting {
  onEvent(event: unknown): void;
  resolve(output: unknown): void;
  reject(problem: unknown): void;
}

/** Resolves once the model is loaded and measured. `onEnd` is called if the thread ends by itself afterwards. */
export async function startEngineThread(
  options: EngineOptions,
  onLoading: (done: number, total: number) => void,
  onEnd: (problem: Error) => void,
): Promise<EngineThread> {
  const worker = new Worker(new URL('./engine-thread.js', import.meta.url), { workerData: options, name: 'engine' });
  const ready = await loaded(worker, onLoading);
  const waiting = new Map<number, Waiting>();
  let ended = false;
  const end = () => {
    ended = true;
    for (const call of waiting.values()) call.reject(stopped());
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
    ...ready,
    run: (kind, input, signal, onEvent = () => {}) => {
      if (ended) return Promise.reject(stopped());
      return post(worker, waiting, nextId++, { kind, input }, signal, onEvent as (event: unknown) => void);
    },
    stop: async () => {
      end();
      await endGently(worker);
    },
  };
}

/** Longest time a single run of the runtime may take before the thread is ended by force. */
const STOP_LIMIT_MS = 30_000;

/** Ending a thread inside a run of onnxruntime brings the whole process down, so the thread is asked to end by itself. */
async function endGently(worker: Worker): Promise<void> {
  const exited = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
  worker.postMessage({ stop: true });
  const force = setTimeout(() => void worker.terminate(), STOP_LIMIT_MS);
  await exited;
  clearTimeout(force);
}

const loaded = (worker: Worker, onLoading: (done: number, total: number) => void): Promise<ReadyEngine> =>
  new Promise((resolve, reject) => {
    worker.once('error', reject);
    const listen = (message: StartMessage): void => {
      if ('loading' in message) {
        onLoading(message.loading.done, message.loading.total);
        return;
      }
      worker.off('message', listen);
      worker.off('error', reject);
      if ('ready' in message) {
        resolve(message.ready);
        return;
      }
      void worker.terminate();
      reject('fault' in message ? revive(message.fault) : message.defect);
    };
    worker.on('message', listen);
  });

function post<Kind extends JobKind>(
  worker: Worker,
  waiting: Map<number, Waiting>,
  id: number,
  job: { kind: Kind; input: Jobs[Kind]['input'] },
  signal: AbortSignal,
  onEvent: (event: unknown) => void,
): Promise<Jobs[Kind]['output']> {
  return new Promise((resolve, reject) => {
    const release = () => {
      signal.removeEventListener('abort', cancel);
      waiting.delete(id);
    };
    const cancel = () => {
      worker.postMessage({ id, cancel: true });
      release();
      reject(fault('CANCELLED', 'The caller cancelled, or its deadline passed.'));
    };
    if (signal.aborted) return cancel();
    signal.addEventListener('abort', cancel, { once: true });
    waiting.set(id, {
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
    worker.postMessage({ id, ...job });
  });
}

function settle(waiting: ReadonlyMap<number, Waiting>, reply: Reply): void {
  const call = waiting.get(reply.id);
  if (call === undefined) return;
  if ('event' in reply) call.onEvent(reply.event);
  else if ('fault' in reply) call.reject(revive(reply.fault));
  else if ('defect' in reply) call.reject(reply.defect);
  else call.resolve(reply.output);
}

const revive = ({ code, message, details }: PlainFault) => fault(code, message, { details });

const stopped = () => fault('STARTING', 'The inference service is stopping. Try again; another one may answer.');
