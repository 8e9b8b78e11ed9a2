/**
 * How many items of one requester may be in the queue at once: twice the slots of all workers, counted again every second. The queue is
 * served in order, so with windows of one size requesters take turns, a newcomer waits for about two items a slot, and workers never run
 * dry. Prevents: an audit of a million evaluations that keeps a small one waiting for hours.
 */

import { thrownIfAborted } from './aborted.js';
import type { WorkQueue } from './bus.js';
import { createWakeUp, type WakeUp } from './wake-up.js';

const LOAD_AGE_MS = 1_000;
/** With no worker in sight: enough to make a scaler start one. */
const SMALLEST = 2;
const ITEMS_A_SLOT = 2;

export interface CreditWindow {
  /** Runs `task` once the requester has room. @throws CANCELLED while it waits */
  run<T>(requester: string, task: () => Promise<T>, signal?: AbortSignal): Promise<T>;
}

const windows = new WeakMap<WorkQueue, CreditWindow>();

/** One window a queue and process, so that several calls of one requester share it. */
export const creditWindowOf = (queue: WorkQueue): CreditWindow => {
  const existing = windows.get(queue) ?? createCreditWindow(queue);
  windows.set(queue, existing);
  return existing;
};

interface Requester {
  inFlight: number;
  readonly waiting: WakeUp[];
}

const createCreditWindow = (queue: WorkQueue): CreditWindow => {
  const requesters = new Map<string, Requester>();
  let width = SMALLEST;
  let measuredAt = Number.NEGATIVE_INFINITY;
  let measuring: Promise<void> | undefined;

  const measure = async (): Promise<void> => {
    try {
      const { running, idleSlots } = await queue.load();
      width = Math.max(SMALLEST, ITEMS_A_SLOT * (running + idleSlots));
    } catch {
      // The server is away: the width stays, and the publishing that follows waits for it.
    }
    measuredAt = performance.now();
    measuring = undefined;
  };
  const measureIfOld = async (): Promise<void> => {
    if (performance.now() - measuredAt < LOAD_AGE_MS) return;
    measuring ??= measure();
    await measuring;
  };

  const enter = async (own: Requester, signal: AbortSignal | undefined): Promise<void> => {
    await measureIfOld();
    while (own.inFlight >= width) {
      const turn = createWakeUp();
      own.waiting.push(turn);
      await turn.wait(LOAD_AGE_MS, signal);
      const place = own.waiting.indexOf(turn);
      if (place >= 0) own.waiting.splice(place, 1);
      thrownIfAborted(signal);
      await measureIfOld();
    }
    own.inFlight++;
  };

  return {
    run: async (name, task, signal) => {
      const own = requesters.get(name) ?? { inFlight: 0, waiting: [] };
      requesters.set(name, own);
      await enter(own, signal);
      try {
        return await task();
      } finally {
        own.inFlight--;
        own.waiting.shift()?.ring();
        if (own.inFlight === 0 && own.waiting.length === 0) requesters.delete(name);
      }
    },
  };
};
