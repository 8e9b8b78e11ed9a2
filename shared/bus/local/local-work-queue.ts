/**
 * The work queue in memory: order, duplicates, redelivery, limits and outcomes as on JetStream, without its durability. A worker here is
 * part of this process, so an item is never taken from one that still lives.
 */

import { thrownIfAborted } from '../aborted.js';
import { isNews } from '../await-outcome.js';
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
  WorkItem,
  WorkQueue,
} from '../bus.js';
import { contentId } from '../content-id.js';
import { assertMessageSize } from '../message-limits.js';
import { queueFull, type ResolvedQueueSettings } from '../queue-settings.js';
import { assertName } from '../subjects.js';
import { createWakeUp, type WakeUp } from '../wake-up.js';
import { startLocalWorkers } from './local-workers.js';

/** How long a dedupeId is remembered, as on the server. */
const DEDUPE_WINDOW_MS = 120_000;
/** Dead letters kept in memory; on the server they are kept for 30 days. */
const MAX_DEAD_LETTERS = 1_000;

export interface QueuedItem {
  readonly item: WorkItem;
  readonly position: number;
  /** Monotonic ms before which the item is not handed out. */
  readonly notBefore: number;
}

export class LocalWorkQueue implements WorkQueue {
  readonly name: string;
  private waiting: QueuedItem[] = [];
  private readonly running = new Map<number, WorkItem>();
  private readonly accepted = new Map<string, { readonly position: number; readonly at: number }>();
  private readonly outcomeById = new Map<string, { readonly stored: StoredOutcome; readonly at: number }>();
  private readonly dead: StoredDeadLetter[] = [];
  private readonly outcomeWaiters = new Set<WakeUp>();
  readonly newItem = createWakeUp();
  private positions = 0;
  private outcomeSequence = 0;
  private idle = () => 0;

  constructor(
    private readonly settings: ResolvedQueueSettings,
    private readonly closed: AbortSignal,
  ) {
    this.name = settings.name;
  }

  async publish(work: NewWork): Promise<PublishedWork> {
    assertMessageSize('The work item', work.payload);
    const id = assertName('The work id', work.id ?? contentId(work.payload));
    const requester = assertName('The requester', work.requester);
    this.forget();
    const dedupeId = work.dedupeId ?? id;
    const earlier = this.accepted.get(dedupeId);
    if (earlier !== undefined) return { id, duplicate: true, position: earlier.position };
    this.assertRoom(requester);
    const position = ++this.positions;
    this.accepted.set(dedupeId, { position, at: performance.now() });
    const item = { id, requester, payload: work.payload.slice(), headers: work.headers ?? {}, delivery: 1 };
    this.waiting.push({ item, position, notBefore: 0 });
    this.newItem.ring();
    return { id, duplicate: false, position };
  }

  async consume(handler: WorkHandler, options?: ConsumeOptions): Promise<Consumption> {
    const { consumption, idleSlots } = startLocalWorkers(this, handler, options, this.closed);
    const before = this.idle;
    this.idle = () => before() + idleSlots();
    return consumption;
  }

  async outcome(id: string): Promise<StoredOutcome | undefined> {
    this.forget();
    return this.outcomeById.get(id)?.stored;
  }

  async outcomes(ids: readonly string[]): Promise<ReadonlyMap<string, StoredOutcome>> {
    this.forget();
    return new Map(
      ids.flatMap((id) => {
        const stored = this.outcomeById.get(id)?.stored;
        return stored === undefined ? [] : [[id, stored]];
      }),
    );
  }

  listen(id: string): OutcomeListener {
    const wakeUp = createWakeUp();
    this.outcomeWaiters.add(wakeUp);
    return {
      next: async ({ afterSequence = 0, limitMs, signal }) => {
        const deadline = performance.now() + limitMs;
        for (;;) {
          thrownIfAborted(signal);
          const stored = await this.outcome(id);
          if (stored !== undefined && isNews(stored, afterSequence)) return stored;
          const left = deadline - performance.now();
          if (left <= 0 || this.closed.aborted) return undefined;
          await wakeUp.wait(left, signal);
        }
      },
      close: () => {
        this.outcomeWaiters.delete(wakeUp);
      },
    };
  }

  async holds(position: number): Promise<boolean> {
    return this.running.has(position) || this.waiting.some((queued) => queued.position === position);
  }

  async withdraw(position: number): Promise<void> {
    this.waiting = this.waiting.filter((queued) => queued.position !== position);
  }

  async deadLetters(limit = 100): Promise<StoredDeadLetter[]> {
    return this.dead.slice(0, limit);
  }

  async load(): Promise<QueueLoad> {
    return { waiting: this.waiting.length, running: this.running.size, idleSlots: this.idle() };
  }

  /** The next item whose time has come, or how long until there may be one. */
  take(): { readonly queued?: QueuedItem; readonly waitMs: number } {
    const now = performance.now();
    const index = this.waiting.findIndex(({ notBefore }) => notBefore <= now);
    if (index < 0) return { waitMs: Math.min(5_000, ...this.waiting.map(({ notBefore }) => notBefore - now)) };
    const [queued] = this.waiting.splice(index, 1);
    if (queued !== undefined) this.running.set(queued.position, queued.item);
    return queued === undefined ? { waitMs: 0 } : { queued, waitMs: 0 };
  }

  /** Puts an item back in its place. */
  giveBack({ item, position }: QueuedItem, delayMs: number): void {
    if (!this.running.delete(position)) return;
    const again = { ...item, delivery: item.delivery + 1 };
    this.waiting.push({ item: again, position, notBefore: performance.now() + delayMs });
    this.waiting.sort((a, b) => a.position - b.position);
    this.newItem.ring();
  }

  finish({ item, position }: QueuedItem, outcome: OutcomeWithoutSequence): void {
    this.running.delete(position);
    this.outcomeById.set(item.id, { stored: { ...outcome, sequence: ++this.outcomeSequence }, at: performance.now() });
    if (outcome.kind === 'failed') {
      const { id: workId, requester, payload } = item;
      this.dead.push({ workId, requester, failure: outcome.failure, time: new Date(), payload });
      if (this.dead.length > MAX_DEAD_LETTERS) this.dead.shift();
    }
    for (const waiter of this.outcomeWaiters) waiter.ring();
  }

  private assertRoom(requester: string): void {
    const items = [...this.running.values(), ...this.waiting.map(({ item }) => item)];
    if (items.length >= this.settings.maxItems) throw queueFull(this.settings, undefined);
    const own = items.filter((item) => item.requester === requester).length;
    if (own >= this.settings.maxItemsPerRequester) throw queueFull(this.settings, requester);
  }

  private forget(): void {
    const now = performance.now();
    for (const [id, { at }] of this.accepted) if (now - at > DEDUPE_WINDOW_MS) this.accepted.delete(id);
    for (const [id, { at }] of this.outcomeById) if (now - at > this.settings.outcomeAgeMs) this.outcomeById.delete(id);
  }
}

export type OutcomeWithoutSequence =
  | { readonly kind: 'done'; readonly result: Uint8Array }
  | Omit<Extract<StoredOutcome, { kind: 'failed' }>, 'sequence'>;
