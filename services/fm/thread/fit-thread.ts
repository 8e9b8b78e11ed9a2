/**
 * The entry of the fit thread: fits, and mask designs. Fits take turns of a few milliseconds each, so that a short one is not held up by a long one, and a
 * cancelled one ends at its next turn.
 */
import { type MessagePort, parentPort } from 'node:worker_threads';
import { isFault } from '../../../shared/errors/fault.js';
import { fitWithBaseline } from '../fit-with-baseline.js';
import { buildMaskDesign } from '../mask-designs.js';
import { type FitProgress, type RunStepsOptions, runSteps } from '../steps.js';
import type { Job, JobKind, Jobs, ThreadReply, ThreadRequest } from './thread-messages.js';

const handlers: { readonly [Kind in JobKind]: Handler<Kind> } = {
  fit: (request, options) => runSteps(fitWithBaseline(request), options),
  design: async (options) => buildMaskDesign(options),
};

type Handler<Kind extends JobKind> = (
  input: Jobs[Kind]['input'],
  options: RunStepsOptions,
) => Promise<Jobs[Kind]['output']>;

const runJob = <Kind extends JobKind>({ kind, input }: Job<Kind>, options: RunStepsOptions) => {
  const handler: Handler<Kind> = handlers[kind];
  return handler(input, options);
};

const serve = (port: MessagePort): void => {
  const running = new Map<number, AbortController>();
  const reply = (message: ThreadReply) => port.postMessage(message);
  port.on('message', async (request: ThreadRequest) => {
    const { id } = request;
    if ('cancel' in request) return running.get(id)?.abort();
    const controller = new AbortController();
    running.set(id, controller);
    try {
      const onProgress = throttle((progress: FitProgress) => reply({ id, progress }));
      const options = { signal: controller.signal, onProgress };
      const output = await runJob(request, options);
      reply({ id, output });
    } catch (thrown) {
      reply({ id, ...describe(thrown) });
    } finally {
      running.delete(id);
    }
  });
};

const describe = (thrown: unknown) =>
  isFault(thrown)
    ? { fault: { code: thrown.code, message: thrown.message } }
    : { defect: thrown instanceof Error ? thrown : new Error(String(thrown)) };

/** Small fits pass thousands of epochs a second; a caller is told at most this often. */
const MIN_PROGRESS_GAP_MS = 50;

const throttle = <T>(send: (value: T) => void): ((value: T) => void) => {
  let last = Number.NEGATIVE_INFINITY;
  return (value) => {
    const now = performance.now();
    if (now - last < MIN_PROGRESS_GAP_MS) return;
    last = now;
    send(value);
  };
};

if (parentPort !== null) serve(parentPort);
