/** The settings of every stream and of the one consumer kind, with the reason for each number. docs/bus.md lists them. */
import { type ConsumerConfig, DiscardPolicy, RetentionPolicy, StorageType } from '@nats-io/jetstream';
import { nanos } from '@nats-io/transport-node';
import type { RedeliverySettings } from '../judge-failure.js';
import type { ResolvedQueueSettings } from '../queue-settings.js';
import type { Subjects } from '../subjects.js';
import type { StreamSettings } from './stream-keeper.js';

// Long enough for every retry of one call (NatsSettings.callLimitMs), short enough for the server's memory.
const DUPLICATE_WINDOW_MS = 120_000;
const DAY_MS = 86_400_000;
// A person looks at dead letters; a month is time enough.
const DEAD_LETTER_AGE_MS = 30 * DAY_MS;
const EVENT_AGE_MS = 90 * DAY_MS;
// Banks are put again by whoever needs them; a week outlasts any audit.
export const BLOB_AGE_MS = 7 * DAY_MS;
// Of all outcomes of a queue together: the oldest go first. The server sets this much aside, so it is no larger than it must be.
const OUTCOME_BYTES = 256 * 1024 ** 2;
const DEAD_LETTER_BYTES = 64 * 1024 ** 2;

const common = {
  storage: StorageType.File,
  duplicate_window: nanos(DUPLICATE_WINDOW_MS),
  // Reads by sequence and by subject without a consumer: nothing to lose when the server restarts.
  allow_direct: true,
} as const;

/** An item leaves with its ack. A full queue refuses: the requester waits, nothing is dropped. */
export const workStream = (subjects: Subjects, queue: ResolvedQueueSettings): StreamSettings => ({
  ...common,
  name: subjects.workStream(queue.name),
  subjects: [subjects.allWork(queue.name)],
  retention: RetentionPolicy.Workqueue,
  discard: DiscardPolicy.New,
  max_msgs: queue.maxItems,
  max_msgs_per_subject: queue.maxItemsPerRequester,
  discard_new_per_subject: true,
});

/** One outcome a work id, the last one. */
export const outcomeStream = (subjects: Subjects, queue: ResolvedQueueSettings): StreamSettings => ({
  ...common,
  name: subjects.outcomeStream(queue.name),
  subjects: [subjects.allOutcomes(queue.name)],
  retention: RetentionPolicy.Limits,
  discard: DiscardPolicy.Old,
  max_msgs_per_subject: 1,
  max_bytes: OUTCOME_BYTES,
  max_age: nanos(queue.outcomeAgeMs),
});

export const deadLetterStream = (subjects: Subjects): StreamSettings => ({
  ...common,
  name: subjects.deadStream,
  subjects: [subjects.allDead],
  retention: RetentionPolicy.Limits,
  discard: DiscardPolicy.Old,
  max_bytes: DEAD_LETTER_BYTES,
  max_age: nanos(DEAD_LETTER_AGE_MS),
});

export const eventStream = (subjects: Subjects): StreamSettings => ({
  ...common,
  name: subjects.eventStream,
  subjects: [subjects.allEvents],
  retention: RetentionPolicy.Limits,
  discard: DiscardPolicy.New,
  max_age: nanos(EVENT_AGE_MS),
});

/** The layout of a NATS key-value bucket with a history of one. */
export const checkpointStream = (subjects: Subjects, bucket: string): StreamSettings => ({
  ...common,
  name: subjects.checkpointStream(bucket),
  subjects: [subjects.checkpointsBelow(bucket, '')],
  retention: RetentionPolicy.Limits,
  discard: DiscardPolicy.New,
  max_msgs_per_subject: 1,
  allow_rollup_hdrs: true,
  deny_delete: true,
});

/** The layout of a NATS object store. */
export const blobStream = (subjects: Subjects): StreamSettings => ({
  ...common,
  name: `OBJ_${subjects.blobBucket}`,
  subjects: [`$O.${subjects.blobBucket}.C.>`, `$O.${subjects.blobBucket}.M.>`],
  retention: RetentionPolicy.Limits,
  discard: DiscardPolicy.New,
  allow_rollup_hdrs: true,
  max_age: nanos(BLOB_AGE_MS),
});

/**
 * The consumer that all workers of a queue pull from. The server never stops delivering: the delivery after the last allowed one makes
 * the dead letter, so that no advisory has to be heard for it. Waits between tries are set by each nak; ack_wait is for workers that died.
 */
export const workConsumer = (
  subjects: Subjects,
  queue: string,
  { ackWaitMs }: RedeliverySettings,
): Partial<ConsumerConfig> => ({
  durable_name: subjects.workConsumer,
  filter_subject: subjects.allWork(queue),
  ack_policy: 'explicit',
  ack_wait: nanos(ackWaitMs),
  max_deliver: -1,
  // Pods x slots at most; far above any mesh, so that it is never the limit.
  max_ack_pending: 10_000,
  max_waiting: 10_000,
});
