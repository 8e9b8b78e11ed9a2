/**
 * Audit events on a stream. An event is stored only if it follows the last one the writer knows of, so that two writers can never mix
 * their events, and numbers have no gaps.
 */

import type { StoredMsg } from '@nats-io/jetstream';
import { headers, type MsgHdrs } from '@nats-io/transport-node';
import type { EventLog, ReadEventsOptions, StoredEvent } from '../bus.js';
import { wrongSequence } from '../event-faults.js';
import { assertMessageSize } from '../message-limits.js';
import type { NatsLink } from './nats-link.js';
import { readStream } from './read-stream.js';
import { isWrongSequence } from './transient.js';

const SEQUENCE_HEADER = 'Refusal-Sequence';

interface LastEvent {
  /** Of the audit: 1, 2, 3 ...; 0 before the first. */
  readonly sequence: number;
  /** Of the stream. */
  readonly position: number;
  readonly event: Uint8Array;
}

const NONE: LastEvent = { sequence: 0, position: 0, event: new Uint8Array() };

export class NatsEventLog implements EventLog {
  private readonly lastKnown = new Map<string, LastEvent>();

  constructor(private readonly link: NatsLink) {}

  async append(auditId: string, sequence: number, event: Uint8Array): Promise<void> {
    assertMessageSize('The event', event);
    const subject = this.link.subjects.event(auditId);
    const last = await this.lastOf(auditId, sequence);
    if (last.sequence === sequence && Buffer.compare(last.event, event) === 0) return;
    if (last.sequence !== sequence - 1) throw wrongSequence(auditId, sequence, last.sequence);
    const position = await this.link.persist('Storing an event', async () => {
      try {
        const ack = await this.link.js.publish(subject, event, {
          headers: sequenceHeader(sequence),
          expect: { lastSubjectSequence: last.position },
        });
        return ack.seq;
      } catch (thrown) {
        if (!isWrongSequence(thrown)) throw thrown;
        return this.positionIfStored(auditId, sequence, event);
      }
    });
    this.lastKnown.set(auditId, { sequence, position, event: event.slice() });
  }

  async *read(auditId: string, options: ReadEventsOptions = {}): AsyncGenerator<StoredEvent> {
    const after = options.afterSequence ?? 0;
    const { eventStream } = this.link.subjects;
    const messages = readStream(this.link, {
      stream: eventStream,
      subject: this.link.subjects.event(auditId),
      fromSequence: 1,
      follow: options.follow ?? false,
      signal: options.signal,
    });
    for await (const message of messages) {
      const sequence = sequenceOf(message.header);
      if (sequence > after) yield { sequence, event: message.data };
    }
  }

  async remove(auditId: string): Promise<void> {
    const { eventStream } = this.link.subjects;
    const filter = this.link.subjects.event(auditId);
    this.lastKnown.delete(auditId);
    await this.link.persist('Removing events', () => this.link.manager.streams.purge(eventStream, { filter }));
  }

  /** What this process wrote last, if the new event follows it; else what the server has. */
  private async lastOf(auditId: string, sequence: number): Promise<LastEvent> {
    const known = this.lastKnown.get(auditId);
    return known?.sequence === sequence - 1 ? known : this.readLast(auditId);
  }

  private async readLast(auditId: string): Promise<LastEvent> {
    const query = { last_by_subj: this.link.subjects.event(auditId) };
    const message = await this.link.persist('Reading the last event', () =>
      this.link.manager.streams.getMessage(this.link.subjects.eventStream, query),
    );
    return message === null ? NONE : lastEvent(message);
  }

  /** A refusal after a lost answer: the event may be there. @throws REVISION_CONFLICT if another one is. */
  private async positionIfStored(auditId: string, sequence: number, event: Uint8Array): Promise<number> {
    const last = await this.readLast(auditId);
    if (last.sequence === sequence && Buffer.compare(last.event, event) === 0) return last.position;
    this.lastKnown.delete(auditId);
    throw wrongSequence(auditId, sequence, last.sequence);
  }
}

const sequenceHeader = (sequence: number): MsgHdrs => {
  const header = headers();
  header.set(SEQUENCE_HEADER, String(sequence));
  return header;
};

const sequenceOf = (header: MsgHdrs): number => Number(header.get(SEQUENCE_HEADER));

const lastEvent = (message: StoredMsg): LastEvent => ({
  sequence: sequenceOf(message.header),
  position: message.seq,
  event: message.data,
});
