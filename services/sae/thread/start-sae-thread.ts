/**
 * The process's handle on the SAE thread: jobs in, promises out. Owns the queue's limit, cancellation, and what becomes of waiting
 * calls when the thread ends.
 */
import { Worker } from 'node:worker_threads';
import { fault } from '../../../shared/errors/fault.js';
import type { JobKind, JobReply, JobRequest, Jobs, PlainFault, ThreadOptions, ThreadStart } from './thread-messages.js';

/** Calls that may wait; the next is told to come back (BUSY). */
const MAX_WAITING = 256;

export interface SaeThread {
  /** Throws the job's fault, BUSY, CANCELLED (the signal), or STARTING once the thread has ended. */
  run<Kind extends JobKind>(kind: Kind, input: Jobs[Kind]['input'], signal: AbortSignal): Promise<Jobs[Kind]['output']>;
  stop(): Promise<void>;
}

interface Waiting {
  resolve(output: unknown): void;
  reject(problem: unknown): void;
}

/** Resolves once the SAEs are found; throws the faults of findSaes. `onEnd` is called if the thread ends by itself. */
export const startSaeThread = async (options: ThreadOptions, onEnd: (problem: Error) => void): Promise<SaeThread> => {
  const worker = new Worker(new URL('./sae-thread.js', import.meta.url), { workerData: options, name: 'sae' });
  await ready(worker);
  const waiting = new Map<number, Waiting>();
  let ended = false;
  const end = () => {
    ended = true;
    for (const call of waiting.values()) call.reject(stopped());
    waiting.clear();
  };
  worker.on('message', (reply: JobReply) => {
    const call = waiting.get(reply.id);
    waiting.delete(reply.id);
    if (call !== undefined) settle(call, reply);
  });
  worker.on('error', (problem) => {
    end();
    onEnd(problem);
  });
  worker.on('exit', end);
  let nextId = 0;
  return {
    run: (kind, input, signal) => {
      if (ended) throw stopped();
      if (waiting.size >= MAX_WAITING)
        throw fault(
          'BUSY',
          `${waiting.size} calls are waiting for the SAEs; at most ${MAX_WAITING} may. Try again later.`,
        );
      return post(worker, waiting, { id: nextId++, kind, input, cancelled: sharedFlag() }, signal);
    },
    stop: async () => {
      end();
      await worker.terminate();
    },
  };
};

const sharedFlag = (): Int32Array => new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));

const ready = (worker: Worker): Promise<void> =>
  new Promise((resolve, reject) => {
    worker.once('error', reject);
    worker.once('message', (start: ThreadStart) => {
      worker.off('error', reject);
      if ('ready' in start) return resolve();
      void worker.terminate();
      reject('fault' in start ? revive(start.fault) : start.defect);
    });
  });

const post = <Kind extends JobKind>(
  worker: Worker,
  waiting: Map<number, Waiting>,
  request: JobRequest<Kind>,
  signal: AbortSignal,
): Promise<Jobs[Kind]['output']> =>
  new Promise((resolve, reject) => {
    const cancel = () => {
      Atomics.store(request.cancelled, 0, 1);
      reject(fault('CANCELLED', 'The caller cancelled, or its deadline passed.'));
    };
    if (signal.aborted) return cancel();
    signal.addEventListener('abort', cancel, { once: true });
    const release = () => signal.removeEventListener('abort', cancel);
    waiting.set(request.id, {
      resolve: (output) => {
        release();
        resolve(output as Jobs[Kind]['output']);
      },
      reject: (problem) => {
        release();
        reject(problem);
      },
    });
    worker.postMessage(request);
  });

const settle = (call: Waiting, reply: JobReply): void => {
  if ('fault' in reply) call.reject(revive(reply.fault));
  else if ('defect' in reply) call.reject(reply.defect);
  else call.resolve(reply.output);
};

const revive = ({ code, message, details }: PlainFault) => fault(code, message, { details });

const stopped = () => fault('STARTING', 'The SAE service is stopping. Try again; another one may answer.');
