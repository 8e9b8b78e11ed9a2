/** What happens to one delivered item, from the handler's start to the ack. */
import type { ConsumptionCounts, WorkFailure, WorkHandler, WorkQueue } from '../bus.js';
import { exhaustedFailure, isExhausted, judgeFailure, type RedeliverySettings } from '../judge-failure.js';
import { encodeDeadLetter, encodeFailure, encodeResult } from '../work-messages.js';
import type { DeliveredItem } from './delivered-item.js';
import type { NatsLink } from './nats-link.js';

export class ItemSettler {
  readonly counts = { done: 0, repeated: 0, retried: 0, dead: 0 };

  constructor(
    private readonly link: NatsLink,
    private readonly queue: WorkQueue,
    private readonly handler: WorkHandler,
    private readonly settings: RedeliverySettings,
    private readonly working: AbortSignal,
  ) {}

  /**
   * Never throws: whatever goes wrong, the server still has the item.
   * @param askForNext called in the same turn as the answer to the server, so that both leave in one write
   */
  async handle(delivered: DeliveredItem, askForNext: () => void): Promise<void> {
    const { item } = delivered;
    const heartbeat = setInterval(delivered.working, Math.max(100, this.settings.ackWaitMs / 3));
    try {
      const answer = await this.answerOf(delivered);
      clearInterval(heartbeat);
      answer();
      askForNext();
    } catch (thrown) {
      this.link.logger.error({ err: thrown, workId: item.id, queue: this.queue.name }, 'a work item was not settled');
    } finally {
      clearInterval(heartbeat);
    }
  }

  /** Does the work and stores what came of it; gives what is to be said to the server. */
  private async answerOf(delivered: DeliveredItem): Promise<() => void> {
    const { item } = delivered;
    if (item.delivery > 1 && (await this.isDone(item.id))) {
      this.count('repeated');
      return delivered.ack;
    }
    if (isExhausted(item.delivery, this.settings)) return this.giveUp(delivered, exhaustedFailure(item.delivery));
    let result: Uint8Array;
    try {
      result = await this.handler(item, this.working);
    } catch (thrown) {
      return this.answerToFailure(delivered, thrown);
    }
    const subject = this.link.subjects.outcome(this.queue.name, item.id);
    await this.link.persist('Storing an outcome', () => this.link.js.publish(subject, encodeResult(result)));
    this.count('done');
    // Not confirmed: an ack that is lost leads to a second delivery, which the stored outcome answers.
    return delivered.ack;
  }

  private async answerToFailure(delivered: DeliveredItem, thrown: unknown): Promise<() => void> {
    if (this.working.aborted) return () => delivered.nak(0);
    const { item } = delivered;
    const verdict = judgeFailure(thrown, item.delivery, this.settings);
    const about = { err: thrown, workId: item.id, requester: item.requester, delivery: item.delivery };
    if (verdict.kind === 'retry') {
      this.count('retried');
      this.link.logger.warn({ ...about, delayMs: verdict.delayMs }, 'a work item failed and comes back');
      return () => delivered.nak(verdict.delayMs);
    }
    this.link.logger.error(about, 'a work item was given up');
    return this.giveUp(delivered, verdict.failure);
  }

  /** The dead letter first, then the outcome, then the end: a death in between repeats all three, without a second letter. */
  private async giveUp({ item, sequence, term }: DeliveredItem, failure: WorkFailure): Promise<() => void> {
    const { dead, outcome } = this.link.subjects;
    const { name } = this.queue;
    const letter = encodeDeadLetter(name, item, failure);
    await this.link.persist('Storing a dead letter', () =>
      this.link.js.publish(dead(name, item.requester), letter, { msgID: `${name}.${item.id}.${sequence}` }),
    );
    await this.link.persist('Storing an outcome', () =>
      this.link.js.publish(outcome(name, item.id), encodeFailure(failure)),
    );
    this.count('dead');
    return () => term(failure.code);
  }

  private count(outcome: keyof ConsumptionCounts): void {
    this.counts[outcome]++;
    this.settings.onSettled(outcome);
  }

  private async isDone(id: string): Promise<boolean> {
    return (await this.queue.outcome(id))?.kind === 'done';
  }
}
