/**
 * Hands the items of a JetStream queue to a handler, one a free slot, until it is drained. The outcome is stored before the ack, so a death
 * at any moment leads to a second delivery and never to a lost item.
 */
import { type ConsumerConfig, JetStreamApiCodes, JetStreamApiError } from '@nats-io/jetstream';
import type { ConsumeOptions, Consumption, WorkHandler, WorkQueue } from '../bus.js';
import { redeliverySettings } from '../judge-failure.js';
import { sleep, waitAtMost } from '../wake-up.js';
import { ItemPuller } from './item-puller.js';
import { ItemSettler } from './item-settler.js';
import type { NatsLink } from './nats-link.js';
import { workConsumer } from './streams.js';

// The end of a request that found nothing is no fault.
const NO_ITEMS = /^(404|408) /;
const PAUSE_AFTER_FAULT_MS = 250;

export const startNatsWorkers = async (
  link: NatsLink,
  queue: WorkQueue,
  handler: WorkHandler,
  options: ConsumeOptions | undefined,
): Promise<Consumption> => {
  const settings = redeliverySettings(options);
  const stopTaking = new AbortController();
  const stopWorking = new AbortController();
  const taking = AbortSignal.any([stopTaking.signal, link.closed]);
  const working = AbortSignal.any([stopWorking.signal, link.closed]);
  const stream = link.subjects.workStream(queue.name);
  const keepConsumer = (): Promise<void> =>
    link.persist('Creating the consumer of a queue', () =>
      bringAboutConsumer(link, stream, workConsumer(link.subjects, queue.name, settings)),
    );
  await keepConsumer();
  const settler = new ItemSettler(link, queue, handler, settings, working);
  const puller = new ItemPuller(link, stream, link.subjects.workConsumer, settings.concurrency);

  const recover = async (reason: string): Promise<void> => {
    if (NO_ITEMS.test(reason)) return;
    link.logger.warn({ queue: queue.name, reason }, 'a request for work ended, asking again');
    await sleep(PAUSE_AFTER_FAULT_MS, taking);
    // The server may have lost its store.
    await keepConsumer().catch((thrown: unknown) => link.logger.warn({ err: thrown }, 'the consumer was not made'));
  };

  const slot = async (index: number): Promise<void> => {
    while (!taking.aborted) {
      puller.ask(index);
      const next = await puller.next(index, taking);
      if (taking.aborted && typeof next === 'string') return;
      if (typeof next === 'string') await recover(next);
      else await settler.handle(next, () => (taking.aborted ? undefined : puller.ask(index)));
    }
  };
  const slots = Promise.all(Array.from({ length: settings.concurrency }, (_, index) => slot(index)));
  void slots.finally(() => puller.close());
  return {
    counts: () => ({ ...settler.counts }),
    drain: async (graceMs) => {
      stopTaking.abort();
      await waitAtMost(slots, graceMs);
      stopWorking.abort();
      await slots;
    },
  };
};

/** Creates the consumer, or gives one of an older release today's settings. */
const bringAboutConsumer = async (link: NatsLink, stream: string, wanted: Partial<ConsumerConfig>): Promise<void> => {
  const { consumers } = link.manager;
  const name = link.subjects.workConsumer;
  try {
    await consumers.info(stream, name);
  } catch (thrown) {
    const isNew = thrown instanceof JetStreamApiError && thrown.code === JetStreamApiCodes.ConsumerNotFound;
    if (!isNew) throw thrown;
    await consumers.add(stream, wanted);
    return;
  }
  await consumers.update(stream, name, wanted);
};
