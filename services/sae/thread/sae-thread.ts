/**
 * The entry of the SAE thread: one job after the other, all of it synchronous. Files and long loops live here, so that the event loop
 * of the process answers health checks while an SAE with 131k features is being scanned.
 */
import { workerData } from 'node:worker_threads';
import { type JobHandlers, serveJobs } from '../../../shared/threads/serve-jobs.js';
import { findSaes } from '../find-saes.js';
import { SaeStore } from '../sae-store.js';
import type { SparseRow } from '../sparse-rows.js';
import type { Jobs, PackedRows, ThreadOptions } from './thread-messages.js';

const handlersOf = (store: SaeStore): JobHandlers<Jobs> => ({
  list: () => store.list(),
  encode: ({ layer, residual, width, features }, { checkpoint }) =>
    pack(store.encode(layer, residual, width, features, checkpoint)),
  nearest: ({ layer, vector, count }, { checkpoint }) => store.nearest(layer, vector, count, checkpoint),
  editRows: ({ features }, { checkpoint }) => store.editRows(features, checkpoint),
  admit: ({ layer, residual, width }, { checkpoint }) => store.admit(layer, residual, width, checkpoint),
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

await serveJobs<Jobs>(() => {
  const { saeDirs, choice, cacheBytes } = workerData as ThreadOptions;
  return { handlers: handlersOf(new SaeStore(findSaes(saeDirs, choice), cacheBytes)), ready: true };
});
