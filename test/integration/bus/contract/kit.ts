/** What every part of the contract uses: buses that are closed after each test, and short ways to say bytes and faults. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect } from 'vitest';
import { awaitOutcome } from '../../../../shared/bus/await-outcome.js';
import type {
  Bus,
  ConsumeOptions,
  Consumption,
  StoredOutcome,
  WorkHandler,
  WorkQueue,
} from '../../../../shared/bus/bus.js';
import type { FaultCode } from '../../../../shared/errors/fault.js';

export type OpenBus = () => Promise<Bus>;

export const bytes = (text: string): Buffer => Buffer.from(text, 'utf8');
export const text = (data: Uint8Array | undefined): string => Buffer.from(data ?? []).toString('utf8');
export const refusal = (code: FaultCode, message: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) });

/** Fast times, so that the suite is short. */
export const FAST: ConsumeOptions = { ackWaitMs: 1_000, maxDeliver: 3, backoffMs: [50, 100] };

/** Call inside `describe`. */
export const createKit = (openBus: OpenBus) => {
  const open: { close(): Promise<unknown> }[] = [];
  afterEach(async () => {
    for (const one of open.splice(0).reverse()) await one.close();
  });
  const newBus = async (): Promise<Bus> => {
    const bus = await openBus();
    open.push(bus);
    return bus;
  };
  return {
    newBus,
    newQueue: async (settings: { maxItems?: number; maxItemsPerRequester?: number } = {}): Promise<WorkQueue> =>
      (await newBus()).workQueue({ name: `q-${randomUUID()}`, ...settings }),
    /** Drained after the test. */
    consume: async (queue: WorkQueue, handler: WorkHandler, options = FAST): Promise<Consumption> => {
      const consumption = await queue.consume(handler, options);
      open.push({ close: () => consumption.drain(0) });
      return consumption;
    },
    closeLater: (close: () => Promise<unknown>): void => {
      open.push({ close });
    },
  };
};

export const finish = async (queue: WorkQueue, id: string, afterSequence = 0): Promise<StoredOutcome> => {
  const outcome = await awaitOutcome(queue, id, { afterSequence, limitMs: 10_000 });
  if (outcome === undefined) throw new Error(`no outcome of ${id} within 10 s`);
  return outcome;
};

export const untilEmpty = async (queue: WorkQueue, limitMs = 5_000): Promise<void> => {
  const deadline = performance.now() + limitMs;
  while (performance.now() < deadline) {
    const { waiting, running } = await queue.load();
    if (waiting + running === 0) return;
    await sleep(25);
  }
  throw new Error(`the queue did not run empty within ${limitMs} ms`);
};
