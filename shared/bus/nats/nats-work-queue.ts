/**
 * A work queue on JetStream: items on a work-queue stream, outcomes and dead letters on streams of their own, filed by the item's id.
 * Prevents: a result that is lost with the requester that waited for it, and a backlog without a bound.
 */
import type { ConsumerInfo } from '@nats-io/jetstream';
import type {
  ConsumeOptions,
  Consumption,
  NewWork,
  OutcomeListener,
  PublishedWork,
  QueueLoad,
  StoredDeadLetter,
  StoredOutcome,
  WorkHandler,
  WorkQueue,
} from '../bus.js';
import { contentId } from '../content-id.js';
import { assertMessageSize } from '../message-limits.js';
import { queueFull, type ResolvedQueueSettings } from '../queue-settings.js';
import { assertName } from '../subjects.js';
import { decodeDeadLetter, decodeOutcome } from '../work-messages.js';
import type { NatsLink } from './nats-link.js';
import { startNatsWorkers } from './nats-workers.js';
import { OutcomeListeners } from './outcome-listeners.js';
import { readLast, readPage } from './read-stream.js';
import { deadLetterStream, outcomeStream, workStream } from './streams.js';
import { fullness, isMissing } from './transient.js';
import { workHeaders } from './work-headers.js';

// Half of what the server takes in one request.
const MANY = 512;

export class NatsWorkQueue implements WorkQueue {
  readonly name: string;
  private readonly work: string;
  private readonly outcomesStream: string;
  private readonly listeners: OutcomeListeners;

  private constructor(
    private readonly link: NatsLink,
    private readonly settings: ResolvedQueueSettings,
  ) {
    this.name = settings.name;
    this.work = link.subjects.workStream(this.name);
    this.outcomesStream = link.subjects.outcomeStream(this.name);
    const all = link.subjects.allOutcomes(this.name);
    this.listeners = new OutcomeListeners(link, all, (id) => this.outcome(id));
  }

  static async open(link: NatsLink, settings: ResolvedQueueSettings): Promise<NatsWorkQueue> {
    await link.persist('Creating the streams of a queue', async () => {
      await link.streams.keep(workStream(link.subjects, settings));
      await link.streams.keep(outcomeStream(link.subjects, settings));
      await link.streams.keep(deadLetterStream(link.subjects));
    });
    return new NatsWorkQueue(link, settings);
  }

  async publish(work: NewWork): Promise<PublishedWork> {
    assertMessageSize('The work item', work.payload);
    const id = assertName('The work id', work.id ?? contentId(work.payload));
    const subject = this.link.subjects.work(this.name, work.requester);
    const header = workHeaders(id, work.headers);
    try {
      const ack = await this.link.persist('Publishing a work item', () =>
        this.link.js.publish(subject, work.payload, { msgID: work.dedupeId ?? id, headers: header }),
      );
      return { id, duplicate: ack.duplicate, position: ack.seq };
    } catch (thrown) {
      const full = fullness(thrown);
      if (full === undefined) throw thrown;
      throw queueFull(this.settings, full === 'subject' ? work.requester : undefined);
    }
  }

  consume(handler: WorkHandler, options?: ConsumeOptions): Promise<Consumption> {
    return startNatsWorkers(this.link, this, handler, options);
  }

  async outcome(id: string): Promise<StoredOutcome | undefined> {
    const query = { last_by_subj: this.link.subjects.outcome(this.name, id) };
    const message = await this.link.persist('Reading an outcome', () =>
      this.link.manager.streams.getMessage(this.outcomesStream, query),
    );
    return message === null ? undefined : decodeOutcome(message.data, message.seq);
  }

  async outcomes(ids: readonly string[]): Promise<ReadonlyMap<string, StoredOutcome>> {
    const found = new Map<string, StoredOutcome>();
    for (let first = 0; first < ids.length; first += MANY) {
      const subjects = ids.slice(first, first + MANY).map((id) => this.link.subjects.outcome(this.name, id));
      const page = await this.link.persist('Reading outcomes', () =>
        readLast(this.link, this.outcomesStream, subjects),
      );
      for (const { subject, data, seq } of page) {
        found.set(subject.slice(subject.lastIndexOf('.') + 1), decodeOutcome(data, seq));
      }
    }
    return found;
  }

  listen(id: string): OutcomeListener {
    return this.listeners.listen(id);
  }

  async holds(position: number): Promise<boolean> {
    const message = await this.link.persist('Looking for a work item', () =>
      this.link.manager.streams.getMessage(this.work, { seq: position }),
    );
    return message !== null;
  }

  async withdraw(position: number): Promise<void> {
    try {
      // One that a worker has is left: its outcome will be of use to whoever asks again.
      const delivered = (await this.consumerInfo())?.delivered.stream_seq ?? 0;
      if (position > delivered) await this.link.manager.streams.deleteMessage(this.work, position);
    } catch (thrown) {
      // Done by now, or the server is away: then a worker does it for nothing.
      this.link.logger.debug({ err: thrown, position }, 'work item was not withdrawn');
    }
  }

  async deadLetters(limit = 100): Promise<StoredDeadLetter[]> {
    const { deadStream, deadOfQueue } = this.link.subjects;
    const place = { stream: deadStream, subject: deadOfQueue(this.name) };
    const page = await this.link.persist('Reading dead letters', () => readPage(this.link, place, 1, limit));
    return page.map((message) => decodeDeadLetter(message.data));
  }

  async load(): Promise<QueueLoad> {
    const workers = await this.consumerInfo();
    if (workers !== undefined) {
      return { waiting: workers.num_pending, running: workers.num_ack_pending, idleSlots: workers.num_waiting };
    }
    const info = await this.link.persist('Reading a queue', () => this.link.manager.streams.info(this.work));
    return { waiting: info.state.messages, running: 0, idleSlots: 0 };
  }

  /** Undefined before the first worker came. */
  private async consumerInfo(): Promise<ConsumerInfo | undefined> {
    try {
      return await this.link.manager.consumers.info(this.work, this.link.subjects.workConsumer);
    } catch (thrown) {
      if (isMissing(thrown)) return undefined;
      throw thrown;
    }
  }
}
