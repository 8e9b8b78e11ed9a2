/**
 * Every name that the bus uses on a NATS server: subjects, streams, consumers, buckets. Prevents: two places that spell a subject
 * differently, and an id that widens a subject with `.`, `*` or `>`.
 */
import { fault } from '../errors/fault.js';

const NAME = /^[A-Za-z0-9_-]{1,100}$/;
const KEY = /^[A-Za-z0-9_=-]+(\/[A-Za-z0-9_=-]+)*$/;
// The server's limit for a subject is far above; keys beyond this are a mistake.
const MAX_KEY_CHARS = 240;

/** Gives the name back. @throws REQUEST_INVALID */
export const assertName = (what: string, name: string): string => {
  if (NAME.test(name)) return name;
  throw fault(
    'REQUEST_INVALID',
    `${what} is "${name.slice(0, 120)}"; it must have 1 to 100 letters, digits, "_" or "-".`,
  );
};

/** Gives the key back. @throws REQUEST_INVALID */
export const assertKey = (key: string): string => {
  if (KEY.test(key) && key.length <= MAX_KEY_CHARS) return key;
  const limit = `a path of letters, digits, "_", "-" and "=" in segments split by "/", at most ${MAX_KEY_CHARS} characters`;
  throw fault('REQUEST_INVALID', `The checkpoint key is "${key.slice(0, 260)}"; it must be ${limit}.`);
};

/** Where answers to one client come: each has its own, so that the server's rights can keep others from listening. */
export const inboxPrefixOf = (clientName: string): string => `_INBOX_${assertName('The client name', clientName)}`;

export interface Subjects {
  readonly work: (queue: string, requester: string) => string;
  readonly allWork: (queue: string) => string;
  readonly workStream: (queue: string) => string;
  /** The durable consumer that all workers of a queue share; KEDA scales on it. */
  readonly workConsumer: string;
  readonly outcome: (queue: string, workId: string) => string;
  readonly allOutcomes: (queue: string) => string;
  readonly outcomeStream: (queue: string) => string;
  readonly dead: (queue: string, requester: string) => string;
  readonly deadOfQueue: (queue: string) => string;
  readonly allDead: string;
  readonly deadStream: string;
  readonly event: (auditId: string) => string;
  readonly allEvents: string;
  readonly eventStream: string;
  readonly checkpoint: (bucket: string, key: string) => string;
  /** All keys below a path; "" for the whole bucket. */
  readonly checkpointsBelow: (bucket: string, prefix: string) => string;
  readonly checkpointKey: (bucket: string, subject: string) => string;
  readonly checkpointStream: (bucket: string) => string;
  readonly blobBucket: string;
}

/** @param namespace such as "refusal": two meshes on one server take two of them. */
export const createSubjects = (namespace: string): Subjects => {
  const ns = assertName('The bus namespace', namespace);
  const streams = ns.toUpperCase();
  const bucketName = (bucket: string): string => `${ns}_${assertName('The checkpoint bucket', bucket)}`;
  const queueName = (queue: string): string => assertName('The queue name', queue);
  return {
    work: (queue, requester) => `${ns}.work.${queueName(queue)}.${assertName('The requester', requester)}`,
    allWork: (queue) => `${ns}.work.${queueName(queue)}.*`,
    workStream: (queue) => `${streams}_WORK_${queueName(queue)}`,
    workConsumer: 'workers',
    outcome: (queue, workId) => `${ns}.outcome.${queueName(queue)}.${assertName('The work id', workId)}`,
    allOutcomes: (queue) => `${ns}.outcome.${queueName(queue)}.*`,
    outcomeStream: (queue) => `${streams}_OUTCOME_${queueName(queue)}`,
    dead: (queue, requester) => `${ns}.dead.${queueName(queue)}.${assertName('The requester', requester)}`,
    deadOfQueue: (queue) => `${ns}.dead.${queueName(queue)}.*`,
    allDead: `${ns}.dead.>`,
    deadStream: `${streams}_DEAD`,
    event: (auditId) => `${ns}.event.${assertName('The audit id', auditId)}`,
    allEvents: `${ns}.event.*`,
    eventStream: `${streams}_EVENTS`,
    // The layout of NATS key-value buckets, so that the `nats kv` command can look at them.
    checkpoint: (bucket, key) => `$KV.${bucketName(bucket)}.${assertKey(key).replaceAll('/', '.')}`,
    checkpointsBelow: (bucket, prefix) =>
      prefix === ''
        ? `$KV.${bucketName(bucket)}.>`
        : `$KV.${bucketName(bucket)}.${assertKey(prefix).replaceAll('/', '.')}.>`,
    checkpointKey: (bucket, subject) => subject.slice(`$KV.${bucketName(bucket)}.`.length).replaceAll('.', '/'),
    checkpointStream: (bucket) => `KV_${bucketName(bucket)}`,
    blobBucket: `${ns}_blobs`,
  };
};
