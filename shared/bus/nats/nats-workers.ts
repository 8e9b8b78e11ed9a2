/**
 * The loop that pulls items from JetStream, one a free slot, and settles them. The outcome is stored before the ack, so a death at any
 * moment leads to a second delivery and never to a lost item. Prevents: prefetch that keeps items from idle pods, a long evaluation that
 * is taken from a living worker, and a worker that sits still after the server was away.
 */
import {
  type Consumer,
  type ConsumerMessages,
  JetStreamApiCodes,
  JetStreamApiError,
  type JsMsg,
} from '@nats-io/jetstream';
import type { ConsumeOptions, Consumption, WorkHandler, WorkQueue } from '../bus.js';
import { redeliverySettings } from '../judge-failure.js';
import { sleep } from '../wake-up.js';
import { ItemSettler } from './item-settler.js';
import type { NatsLink } from './nats-link.js';
import { workConsumer } from './streams.js';
import { isMissing } from './transient.js';

// One request an idle slot in this time; a server that vanished is noticed after two missed beats.
const PULL_MS = 20_000;
const BEAT_MS = 5_000;
const PAUSE_AFTER_ERROR_MS = 250;

export const startNatsWorkers = async (
  link: NatsLink,
  queue: WorkQueue,
  handler: WorkHandler,
  options: ConsumeOptions | undefined,
): Promise<Consumption> => {
  const settings = redeliverySettings(options);
  const pulling = new Set<ConsumerMessages>();
  const stopTaking = new AbortController();
  const stopWorking = new AbortController();
  const taking = AbortSignal.any([stopTaking.signal, link.closed]);
  const working = AbortSignal.any([stopWorking.signal, link.closed]);
  const stream = link.subjects.workStream(queue.name);
  const settler = new ItemSettler(link, queue, handler, settings, working);

  const openConsumer = async (): Promise<Consumer> => {
    await bringAboutConsumer(link, stream, workConsumer(link.subjects, queue.name, settings));
    return link.js.consumers.get(stream, link.subjects.workConsumer);
  };
  let consumer = await link.persist('Creating the consumer of a queue', openConsumer);

  const pull = async (): Promise<JsMsg | undefined> => {
    const messages = await consumer.fetch({ max_messages: 1, expires: PULL_MS, idle_heartbeat: BEAT_MS });
    pulling.add(messages);
    if (taking.aborted) messages.stop();
    try {
      for await (const message of messages) return message;
      return undefined;
    } finally {
      pulling.delete(messages);
    }
  };

  const slot = async (): Promise<void> => {
    while (!taking.aborted) {
      try {
        const message = await pull();
        if (message !== undefined) await settler.handle(message);
      } catch (thrown) {
        if (taking.aborted) return;
        link.logger.warn({ err: thrown, queue: queue.name }, 'pulling work failed, trying again');
        await sleep(PAUSE_AFTER_ERROR_MS, taking);
        if (isMissing(thrown)) consumer = await link.persist('Creating the consumer of a queue', openConsumer, taking);
      }
    }
  };
  const slots = Promise.all(Array.from({ length: settings.concurrency }, slot));
  slots.catch((thrown: unknown) => link.logger.debug({ err: thrown }, 'workers ended'));
  taking.addEventListener('abort', () => {
    for (const messages of pulling) messages.stop();
  });
  return {
    counts: () => ({ ...settler.counts }),
    drain: async (graceMs) => {
      stopTaking.abort();
      const ended = slots.then(
        () => undefined,
        () => undefined,
      );
      await Promise.race([ended, sleep(graceMs)]);
      stopWorking.abort();
      await ended;
    },
  };
};

/** Creates the consumer, or gives one of an older release today's settings. */
const bringAboutConsumer = async (
  link: NatsLink,
  stream: string,
  wanted: ReturnType<typeof workConsumer>,
): Promise<void> => {
  const name = link.subjects.workConsumer;
  try {
    await link.manager.consumers.info(stream, name);
  } catch (thrown) {
    const isNew = thrown instanceof JetStreamApiError && thrown.code === JetStreamApiCodes.ConsumerNotFound;
    if (!isNew) throw thrown;
    await link.manager.consumers.add(stream, wanted);
    return;
  }
  await link.manager.consumers.update(stream, name, wanted);
};
