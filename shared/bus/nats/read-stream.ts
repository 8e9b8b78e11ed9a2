/**
 * Reads the messages of a subject in order without a consumer: pages by sequence, and a plain subscription as the bell for new ones.
 * Prevents: a follower that stands still because the server forgot its consumer.
 */
import type { StoredMsg } from '@nats-io/jetstream';
import type { QueuedIterator } from '@nats-io/transport-node';
import { createWakeUp } from '../wake-up.js';
import type { NatsLink } from './nats-link.js';

export interface ReadStreamOptions {
  readonly stream: string;
  readonly subject: string;
  readonly fromSequence: number;
  readonly follow: boolean;
  readonly signal?: AbortSignal | undefined;
}

const PAGE_MESSAGES = 256;
const PAGE_BYTES = 8 * 1024 * 1024;
const PAGE_LIMIT_MS = 15_000;
// A bell that was lost with its connection is made good by this.
const POLL_MS = 5_000;

/** Ends without an error when the signal aborts or the bus closes. */
export async function* readStream(link: NatsLink, options: ReadStreamOptions): AsyncGenerator<StoredMsg> {
  const signal = options.signal === undefined ? link.closed : AbortSignal.any([link.closed, options.signal]);
  const wakeUp = createWakeUp();
  const stopListening = options.follow ? listen(link, options.subject, wakeUp.ring) : () => undefined;
  let next = Math.max(1, options.fromSequence);
  try {
    while (!signal.aborted) {
      const page = await link.persist('Reading a stream', () => readPage(link, options, next));
      for (const message of page) {
        if (signal.aborted) return;
        next = message.seq + 1;
        yield message;
      }
      if (page.length > 0) continue;
      if (!options.follow) return;
      await wakeUp.wait(POLL_MS, signal);
    }
  } finally {
    stopListening();
  }
}

const listen = (link: NatsLink, subject: string, ring: () => void): (() => void) => {
  const subscription = link.connection.subscribe(subject, { callback: ring });
  const endReconnect = link.onReconnect(ring);
  return () => {
    subscription.unsubscribe();
    endReconnect();
  };
};

/** Empty: there is nothing at or after `from`. */
export const readPage = async (
  link: NatsLink,
  { stream, subject }: { readonly stream: string; readonly subject: string },
  from: number,
  limit = PAGE_MESSAGES,
): Promise<StoredMsg[]> => {
  const query = { seq: from, next_by_subj: subject, batch: limit, max_bytes: PAGE_BYTES };
  return collect(await link.manager.direct.getBatch(stream, query));
};

/** The last message of each subject that has one; at most 1,024 subjects. */
export const readLast = async (link: NatsLink, stream: string, subjects: readonly string[]): Promise<StoredMsg[]> =>
  collect(await link.manager.direct.getLastMessagesFor(stream, { multi_last: [...subjects] }));

const collect = async (messages: QueuedIterator<StoredMsg>): Promise<StoredMsg[]> => {
  // The client waits without a limit once the first message is in.
  const timer = setTimeout(() => messages.stop(new Error('a page of the stream was cut off')), PAGE_LIMIT_MS);
  const page: StoredMsg[] = [];
  try {
    for await (const message of messages) page.push(message);
  } catch (thrown) {
    if (!(thrown instanceof Error && /not found|no results/i.test(thrown.message))) throw thrown;
  } finally {
    clearTimeout(timer);
  }
  return page;
};
