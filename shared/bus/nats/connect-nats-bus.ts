/** The bus on NATS JetStream. This folder is the only door to the NATS client. */
import type { Bus, CheckpointStore, WorkQueue } from '../bus.js';
import { queueSettings } from '../queue-settings.js';
import { NatsBlobStore } from './nats-blob-store.js';
import { NatsCheckpointStore } from './nats-checkpoint-store.js';
import { NatsEventLog } from './nats-event-log.js';
import { NatsLink } from './nats-link.js';
import type { NatsSettings } from './nats-settings.js';
import { NatsWorkQueue } from './nats-work-queue.js';
import { openConnection } from './open-connection.js';
import { blobStream, checkpointStream, eventStream } from './streams.js';

const SHARED = { events: eventStream, blobs: blobStream };

/** @throws PEER_UNAVAILABLE if no server with JetStream answers in time; CONFIG_INVALID if a stream cannot be brought to our settings. */
export const connectNatsBus = async (settings: NatsSettings): Promise<Bus> => {
  const link = await NatsLink.open(await openConnection(settings), settings);
  try {
    await link.persist('Creating the shared streams', async () => {
      for (const part of settings.shares ?? ['events', 'blobs']) await link.streams.keep(SHARED[part](link.subjects));
    });
  } catch (thrown) {
    await link.close();
    throw thrown;
  }
  return createNatsBus(link);
};

const createNatsBus = (link: NatsLink): Bus => {
  const queues = new Map<string, Promise<WorkQueue>>();
  const buckets = new Map<string, Promise<CheckpointStore>>();
  const openBucket = async (bucket: string): Promise<CheckpointStore> => {
    const settings = checkpointStream(link.subjects, bucket);
    await link.persist('Creating a checkpoint bucket', () => link.streams.keep(settings));
    return new NatsCheckpointStore(link, bucket);
  };
  return {
    engine: 'nats',
    events: new NatsEventLog(link),
    blobs: new NatsBlobStore(link),
    workQueue: (settings) => once(queues, settings.name, () => NatsWorkQueue.open(link, queueSettings(settings))),
    checkpoints: (bucket) => once(buckets, bucket, () => openBucket(bucket)),
    isConnected: () => link.isConnected(),
    close: () => link.close(),
  };
};

/** One of each name; a failed opening is not kept. */
const once = <T>(opened: Map<string, Promise<T>>, name: string, open: () => Promise<T>): Promise<T> => {
  const existing = opened.get(name);
  if (existing !== undefined) return existing;
  const opening = open();
  opened.set(name, opening);
  opening.catch(() => opened.delete(name));
  return opening;
};
