/** The thread's side: loads what it needs, then answers jobs until it is asked to stop. */
import { type MessagePort, parentPort } from 'node:worker_threads';
import {
  cancelledFault,
  type JobRequest,
  type JobTypes,
  type Reply,
  type ToThread,
  toFailure,
} from './job-messages.js';

export interface JobContext<Event> {
  emit(event: Event): void;
  /** Aborts when the caller gives up; for jobs that yield. */
  readonly signal: AbortSignal;
  /** Throws CANCELLED once the caller gave up; for loops that never yield. */
  checkpoint(): void;
}

export type JobHandlers<Jobs extends JobTypes<Jobs>> = {
  readonly [Kind in keyof Jobs]: (
    input: Jobs[Kind]['input'],
    context: JobContext<Jobs[Kind]['event']>,
  ) => Promise<Jobs[Kind]['output']> | Jobs[Kind]['output'];
};

export interface Loaded<Jobs extends JobTypes<Jobs>, Ready> {
  readonly handlers: JobHandlers<Jobs>;
  /** Told to the process. */
  readonly ready: Ready;
}

/** To be called once, by the thread's entry. `load` may report how far it is. */
export const serveJobs = async <Jobs extends JobTypes<Jobs>, Ready = unknown, Loading = unknown>(
  load: (onLoading: (loading: Loading) => void) => Promise<Loaded<Jobs, Ready>> | Loaded<Jobs, Ready>,
): Promise<void> => {
  const port = parentPort;
  if (port === null) throw new Error('this file is the entry of a thread and cannot be run by itself');
  try {
    const { handlers, ready } = await load((loading) => port.postMessage({ loading }));
    listen(port, handlers);
    port.postMessage({ ready });
  } catch (thrown) {
    port.postMessage({ failure: toFailure(thrown) });
  }
};

const listen = <Jobs extends JobTypes<Jobs>>(port: MessagePort, handlers: JobHandlers<Jobs>): void => {
  const running = new Map<number, { readonly controller: AbortController; readonly ended: Promise<void> }>();
  const stop = async (): Promise<void> => {
    for (const { controller } of running.values()) controller.abort();
    await Promise.allSettled([...running.values()].map(({ ended }) => ended));
    // Nothing is left to do: the thread ends by itself.
    port.close();
  };
  port.on('message', (message: ToThread<Jobs>) => {
    if ('stop' in message) void stop();
    else if ('cancel' in message) running.get(message.id)?.controller.abort();
    else {
      const controller = new AbortController();
      const ended = runJob(handlers, message, controller, (reply) => port.postMessage(reply));
      running.set(message.id, { controller, ended });
      void ended.then(() => running.delete(message.id));
    }
  });
};

/** Settles in any case; the outcome goes out as a reply. */
const runJob = async <Jobs extends JobTypes<Jobs>, Kind extends keyof Jobs>(
  handlers: JobHandlers<Jobs>,
  { id, kind, input, cancelled }: JobRequest<Jobs, Kind>,
  { signal }: AbortController,
  reply: (message: Reply) => void,
): Promise<void> => {
  const checkpoint = () => {
    if (Atomics.load(cancelled, 0) === 1) throw cancelledFault();
  };
  try {
    checkpoint();
    const output = await handlers[kind](input, { emit: (event) => reply({ id, event }), signal, checkpoint });
    reply({ id, output });
  } catch (thrown) {
    reply({ id, failure: toFailure(signal.aborted ? cancelledFault() : thrown) });
  }
};
