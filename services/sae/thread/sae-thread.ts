/**
 * The entry of the SAE thread: one job after the other, all of it synchronous. Files and long loops live here, so that the event loop
 * of the process answers health checks while an SAE with 131k features is being scanned.
 */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { fault, isFault } from '../../../shared/errors/fault.js';
import { findSaes } from '../find-saes.js';
import { SaeStore } from '../sae-store.js';
import type { SparseRow } from '../sparse-rows.js';
import type { JobKind, JobReply, JobRequest, Jobs, PackedRows, PlainFault, ThreadOptions } from './thread-messages.js';

type Handlers = {
  readonly [Kind in JobKind]: (input: Jobs[Kind]['input'], checkpoint: () => void) => Jobs[Kind]['output'];
};

const handlersOf = (store: SaeStore): Handlers => ({
  list: () => store.list(),
  encode: ({ layer, residual, width, features }, checkpoint) =>
    pack(store.encode(layer, residual, width, features, checkpoint)),
  nearest: ({ layer, vector, count }, checkpoint) => store.nearest(layer, vector, count, checkpoint),
  editRows: ({ features }, checkpoint) => store.editRows(features, checkpoint),
  admit: ({ layer, residual, width }, checkpoint) => store.admit(layer, residual, width, checkpoint),
});

const pack = (rows: readonly SparseRow[]): PackedRows => {
  const offsets = new Uint32Array(rows.length + 1);
  rows.forEach(({ indices }, r) => {
    offsets[r + 1] = offsets[r]! + indices.length;
  });
  const indices = new Uint32Array(offsets[rows.length]!);
  const values = new Float32Array(indices.length);
  rows.forEach((row, r) => {
    indices.set(row.indices, offsets[r]!);
    values.set(row.values, offsets[r]!);
  });
  return { offsets, indices, values };
};

const plain = (thrown: unknown): { fault: PlainFault } | { defect: Error } =>
  isFault(thrown)
    ? { fault: { code: thrown.code, message: thrown.message, details: thrown.details } }
    : { defect: thrown instanceof Error ? thrown : new Error(String(thrown)) };

const runJob = <Kind extends JobKind>(
  handlers: Handlers,
  { id, kind, input, cancelled }: JobRequest<Kind>,
): JobReply => {
  const checkpoint = () => {
    if (Atomics.load(cancelled, 0) === 1) throw fault('CANCELLED', 'The caller cancelled, or its deadline passed.');
  };
  try {
    checkpoint();
    const handler: Handlers[Kind] = handlers[kind];
    return { id, output: handler(input, checkpoint) };
  } catch (thrown) {
    return { id, ...plain(thrown) };
  }
};

const start = (port: MessagePort, { saeDirs, choice, cacheBytes }: ThreadOptions): void => {
  const handlers = handlersOf(new SaeStore(findSaes(saeDirs, choice), cacheBytes));
  port.on('message', (request: JobRequest) => port.postMessage(runJob(handlers, request)));
  port.postMessage({ ready: true });
};

if (parentPort !== null) {
  try {
    start(parentPort, workerData as ThreadOptions);
  } catch (thrown) {
    parentPort.postMessage(plain(thrown));
  }
}
