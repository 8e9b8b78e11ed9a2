/**
 * What each service may do on the NATS server, and no more: made from the names of shared/bus/subjects.ts, so that the two cannot drift.
 * Prevents: an inference pod, which sees prompts from anywhere, that could write another service's checkpoints or read its answers.
 */
import { createSubjects, inboxPrefixOf, type Subjects } from '../subjects.js';

/** Subjects of one direction. A list that is empty allows nothing. */
export interface NatsRights {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
}

export const BUS_SERVICES = ['inference', 'search', 'coordinator'] as const;
export type BusService = (typeof BUS_SERVICES)[number];

export interface RightsOptions {
  readonly namespace: string;
  /** Names of the work queues, of `evaluationQueueName`: a right cannot name "all streams that begin so". */
  readonly queues: readonly string[];
}

/** The bucket of services/coordinator/store/bus-audit-store.ts. */
const AUDITS = 'audits';

export const natsRightsOf = (service: BusService, { namespace, queues }: RightsOptions): NatsRights => {
  const subjects = createSubjects(namespace);
  const own = RIGHTS[service](subjects, queues);
  return {
    publish: ['$JS.API.INFO', ...own.publish],
    // Its own inbox alone: an answer to another service is none of its business.
    subscribe: [`${inboxPrefixOf(service)}.>`, ...own.subscribe],
  };
};

const api = (call: string, stream: string): string => `$JS.API.${call}.${stream}`;
const keep = (stream: string): string[] =>
  ['STREAM.INFO', 'STREAM.CREATE', 'STREAM.UPDATE'].map((call) => api(call, stream));
/** By sequence, by subject, and whole pages. */
const read = (stream: string): string[] => [
  api('STREAM.MSG.GET', stream),
  api('DIRECT.GET', stream),
  `${api('DIRECT.GET', stream)}.>`,
];

const blobStreamOf = (subjects: Subjects): string => `OBJ_${subjects.blobBucket}`;

/** Both sides of a queue create its streams: whoever comes first. */
const keepQueue = (subjects: Subjects, queue: string): string[] =>
  [subjects.workStream(queue), subjects.outcomeStream(queue), subjects.deadStream].flatMap(keep);

/** Pulls items, stores outcomes and dead letters, reads banks. */
const inference = (subjects: Subjects, queues: readonly string[]): NatsRights => ({
  publish: [
    ...keep(blobStreamOf(subjects)),
    ...read(blobStreamOf(subjects)),
    ...queues.flatMap((queue) => {
      const [work, consumer] = [subjects.workStream(queue), subjects.workConsumer];
      return [
        ...keepQueue(subjects, queue),
        ...read(subjects.outcomeStream(queue)),
        `${api('CONSUMER.INFO', work)}.${consumer}`,
        `${api('CONSUMER.CREATE', work)}.${consumer}`,
        `${api('CONSUMER.CREATE', work)}.${consumer}.>`,
        `${api('CONSUMER.DURABLE.CREATE', work)}.${consumer}`,
        `${api('CONSUMER.MSG.NEXT', work)}.${consumer}`,
        `$JS.ACK.${work}.${consumer}.>`,
        subjects.allOutcomes(queue),
        subjects.deadOfQueue(queue),
      ];
    }),
  ],
  subscribe: [],
});

/** Queues items, hears outcomes, takes back what no worker has, stores banks. */
const search = (subjects: Subjects, queues: readonly string[]): NatsRights => ({
  publish: [
    ...keep(blobStreamOf(subjects)),
    ...read(blobStreamOf(subjects)),
    // A bank that is written again takes the place of its old chunks.
    api('STREAM.PURGE', blobStreamOf(subjects)),
    `$O.${subjects.blobBucket}.>`,
    ...queues.flatMap((queue) => {
      const work = subjects.workStream(queue);
      return [
        ...keepQueue(subjects, queue),
        ...read(subjects.outcomeStream(queue)),
        ...read(work),
        api('STREAM.MSG.DELETE', work),
        `${api('CONSUMER.INFO', work)}.${subjects.workConsumer}`,
        subjects.allWork(queue),
      ];
    }),
  ],
  subscribe: queues.map((queue) => subjects.allOutcomes(queue)),
});

/** Audits, their leases and their events. */
const coordinator = (subjects: Subjects): NatsRights => {
  const [bucket, values] = [subjects.checkpointStream(AUDITS), subjects.checkpointsBelow(AUDITS, '')];
  const { eventStream } = subjects;
  return {
    publish: [
      ...[bucket, eventStream].flatMap((stream) => [...keep(stream), ...read(stream)]),
      // An audit that is removed takes its events along.
      api('STREAM.PURGE', eventStream),
      values,
      subjects.allEvents,
    ],
    subscribe: [values, subjects.allEvents],
  };
};

const RIGHTS = { inference, search, coordinator };
