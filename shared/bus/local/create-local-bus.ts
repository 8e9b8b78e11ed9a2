/** The bus inside one process: the embedded default. Nothing on it outlives the process. */
import type { Bus, CheckpointStore, WorkQueue } from '../bus.js';
import { queueSettings } from '../queue-settings.js';
import { assertName } from '../subjects.js';
import { createLocalBlobStore } from './local-blob-store.js';
import { LocalCheckpointStore } from './local-checkpoint-store.js';
import { createLocalEventLog } from './local-event-log.js';
import { LocalWorkQueue } from './local-work-queue.js';

export const createLocalBus = (): Bus => {
  const closing = new AbortController();
  const queues = new Map<string, WorkQueue>();
  const buckets = new Map<string, CheckpointStore>();
  const blobs = createLocalBlobStore();
  return {
    engine: 'local',
    events: createLocalEventLog(closing.signal),
    blobs,
    workQueue: async (settings) => {
      const resolved = queueSettings(settings);
      const queue = queues.get(resolved.name) ?? new LocalWorkQueue(resolved, closing.signal);
      queues.set(resolved.name, queue);
      return queue;
    },
    checkpoints: async (bucket) => {
      const store =
        buckets.get(bucket) ?? new LocalCheckpointStore(assertName('The checkpoint bucket', bucket), closing.signal);
      buckets.set(bucket, store);
      return store;
    },
    isConnected: () => !closing.signal.aborted,
    close: async () => {
      closing.abort();
      await blobs.close();
    },
  };
};
