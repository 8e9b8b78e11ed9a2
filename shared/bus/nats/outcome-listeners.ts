/**
 * Hears the outcomes of a queue by one subscription for the whole process, as long as anyone waits. Prevents: two more commands to the
 * server for each item.
 */
import type { Subscription } from '@nats-io/transport-node';
import { thrownIfAborted } from '../aborted.js';
import type { OutcomeListener, StoredOutcome } from '../bus.js';
import { createWakeUp, type WakeUp } from '../wake-up.js';
import { decodeOutcome } from '../work-messages.js';
import type { NatsLink } from './nats-link.js';

// A live outcome that was missed (the connection broke at that moment) is found by this.
const POLL_MS = 5_000;

interface Waiter {
  readonly wakeUp: WakeUp;
  /** A live result; a failure is looked up, because only the stored one has its sequence. */
  done?: StoredOutcome;
  mustLook: boolean;
}

export class OutcomeListeners {
  private readonly waiters = new Map<string, Set<Waiter>>();
  private subscription: Subscription | undefined;
  private endReconnect = (): void => undefined;

  constructor(
    private readonly link: NatsLink,
    /** All outcomes of the queue. */
    private readonly subject: string,
    private readonly look: (id: string) => Promise<StoredOutcome | undefined>,
  ) {}

  listen(id: string): OutcomeListener {
    this.start();
    const waiter: Waiter = { wakeUp: createWakeUp(), mustLook: false };
    const ofId = this.waiters.get(id) ?? new Set();
    this.waiters.set(id, ofId.add(waiter));
    return {
      next: async ({ afterSequence = 0, limitMs, signal }) => {
        const deadline = performance.now() + limitMs;
        for (;;) {
          thrownIfAborted(signal);
          const stored = waiter.done ?? (await this.lookIfAsked(id, waiter));
          if (stored !== undefined && (stored.kind === 'done' || stored.sequence > afterSequence)) return stored;
          const left = deadline - performance.now();
          if (left <= 0 || this.link.closed.aborted) return undefined;
          const sleptAt = performance.now();
          await waiter.wakeUp.wait(Math.min(left, POLL_MS), signal);
          if (performance.now() - sleptAt >= POLL_MS) waiter.mustLook = true;
        }
      },
      close: () => {
        ofId.delete(waiter);
        if (ofId.size === 0 && this.waiters.get(id) === ofId) this.waiters.delete(id);
        if (this.waiters.size === 0) this.stop();
      },
    };
  }

  private async lookIfAsked(id: string, waiter: Waiter): Promise<StoredOutcome | undefined> {
    if (!waiter.mustLook) return undefined;
    waiter.mustLook = false;
    return this.look(id);
  }

  private start(): void {
    if (this.subscription !== undefined) return;
    this.subscription = this.link.connection.subscribe(this.subject, {
      callback: (error, message) => {
        if (error === null) this.hear(message.subject, message.data);
      },
    });
    this.endReconnect = this.link.onReconnect(() => {
      for (const ofId of this.waiters.values()) for (const waiter of ofId) lookAgain(waiter);
    });
  }

  private stop(): void {
    this.subscription?.unsubscribe();
    this.subscription = undefined;
    this.endReconnect();
  }

  private hear(subject: string, data: Uint8Array): void {
    const ofId = this.waiters.get(subject.slice(subject.lastIndexOf('.') + 1));
    if (ofId === undefined) return;
    const outcome = decodeOutcome(data, 0);
    for (const waiter of ofId) {
      if (outcome.kind === 'done') waiter.done = outcome;
      lookAgain(waiter);
    }
  }
}

const lookAgain = (waiter: Waiter): void => {
  waiter.mustLook = true;
  waiter.wakeUp.ring();
};
