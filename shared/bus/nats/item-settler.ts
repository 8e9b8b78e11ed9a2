/** What happens to one delivered item, from the handler's start to the ack. */
import type { JsMsg } from '@nats-io/jetstream';
import type { WorkFailure, WorkHandler, WorkItem, WorkQueue } from '../bus.js';
import { exhaustedFailure, isExhausted, judgeFailure, type RedeliverySettings } from '../judge-failure.js';
import { encodeDeadLetter, encodeFailure, encodeResult } from '../work-messages.js';
import type { NatsLink } from './nats-link.js';
import { WORK_ID_HEADER } from './work-headers.js';

// An ack that was not confirmed leads to a second delivery, which the stored outcome answers.
const ACK_LIMIT_MS = 5_000;

export class ItemSettler {
  readonly counts = { done: 0, repeated: 0, retried: 0, dead: 0 };

  constructor(
    private readonly link: NatsLink,
    private readonly queue: WorkQueue,
    private readonly handler: WorkHandler,
    private readonly settings: RedeliverySettings,
    private readonly working: AbortSignal,
  ) {}

  /** Never throws: whatever goes wrong, the server still has the item. */
  async handle(message: JsMsg): Promise<void> {
    const item = readItem(message);
    const heartbeat = setInterval(() => message.working(), Math.max(100, this.settings.ackWaitMs / 3));
    try {
      if (item.delivery > 1 && (await this.isDone(item.id))) {
        this.counts.repeated++;
        await this.acknowledge(message);
      } else if (isExhausted(item.delivery, this.settings)) {
        await this.giveUp(message, item, exhaustedFailure(item.delivery));
      } else {
        await this.work(message, item);
      }
    } catch (thrown) {
      this.link.logger.error({ err: thrown, workId: item.id, queue: this.queue.name }, 'a work item was not settled');
    } finally {
      clearInterval(heartbeat);
    }
  }

  private async work(message: JsMsg, item: WorkItem): Promise<void> {
    let result: Uint8Array;
    try {
      result = await this.handler(item, this.working);
    } catch (thrown) {
      return this.settleFailure(message, item, thrown);
    }
    const subject = this.link.subjects.outcome(this.queue.name, item.id);
    await this.link.persist('Storing an outcome', () => this.link.js.publish(subject, encodeResult(result)));
    await this.acknowledge(message);
    this.counts.done++;
  }

  private async settleFailure(message: JsMsg, item: WorkItem, thrown: unknown): Promise<void> {
    if (this.working.aborted) return message.nak(0);
    const verdict = judgeFailure(thrown, item.delivery, this.settings);
    const about = { err: thrown, workId: item.id, requester: item.requester, delivery: item.delivery };
    if (verdict.kind === 'retry') {
      this.counts.retried++;
      this.link.logger.warn({ ...about, delayMs: verdict.delayMs }, 'a work item failed and comes back');
      return message.nak(verdict.delayMs);
    }
    this.link.logger.error(about, 'a work item was given up');
    await this.giveUp(message, item, verdict.failure);
  }

  /** The dead letter first, then the outcome, then the end: a death in between repeats all three, without a second letter. */
  private async giveUp(message: JsMsg, item: WorkItem, failure: WorkFailure): Promise<void> {
    const { dead, outcome } = this.link.subjects;
    const { name } = this.queue;
    const letter = encodeDeadLetter(name, item, failure);
    await this.link.persist('Storing a dead letter', () =>
      this.link.js.publish(dead(name, item.requester), letter, { msgID: `${name}.${item.id}.${message.seq}` }),
    );
    await this.link.persist('Storing an outcome', () =>
      this.link.js.publish(outcome(name, item.id), encodeFailure(failure)),
    );
    message.term(failure.code);
    this.counts.dead++;
  }

  private async isDone(id: string): Promise<boolean> {
    return (await this.queue.outcome(id))?.kind === 'done';
  }

  private async acknowledge(message: JsMsg): Promise<void> {
    try {
      await message.ackAck({ timeout: ACK_LIMIT_MS });
    } catch (thrown) {
      this.link.logger.warn({ err: thrown, queue: this.queue.name }, 'an ack was not confirmed');
    }
  }
}

const readItem = (message: JsMsg): WorkItem => {
  const headers: Record<string, string> = {};
  for (const name of message.headers?.keys() ?? []) {
    if (!name.startsWith('Nats-') && name !== WORK_ID_HEADER) headers[name] = message.headers?.get(name) ?? '';
  }
  return {
    id: message.headers?.get(WORK_ID_HEADER) ?? '',
    requester: message.subject.slice(message.subject.lastIndexOf('.') + 1),
    payload: message.data,
    headers,
    delivery: message.info.deliveryCount,
  };
};
