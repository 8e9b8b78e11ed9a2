/**
 * What becomes of a work item whose handler threw, the same on both engines. Prevents: a bad item that goes round for ever, and a
 * passing fault that ends an item.
 */
import { FAULTS, isFault } from '../errors/fault.js';
import type { ConsumeOptions, ConsumptionCounts, WorkFailure } from './bus.js';

export interface RedeliverySettings {
  readonly concurrency: number;
  readonly ackWaitMs: number;
  readonly maxDeliver: number;
  readonly backoffMs: readonly number[];
  readonly onSettled: (outcome: keyof ConsumptionCounts) => void;
}

const DEFAULTS: RedeliverySettings = {
  concurrency: 1,
  ackWaitMs: 30_000,
  maxDeliver: 5,
  backoffMs: [1_000, 5_000, 30_000],
  onSettled: () => undefined,
};

export const redeliverySettings = (options: ConsumeOptions | undefined): RedeliverySettings => ({
  ...DEFAULTS,
  ...options,
});

export type Verdict =
  | { readonly kind: 'retry'; readonly delayMs: number }
  | { readonly kind: 'dead'; readonly failure: WorkFailure };

/** @param delivery which one has failed, 1 for the first. */
export const judgeFailure = (thrown: unknown, delivery: number, settings: RedeliverySettings): Verdict => {
  if (isFault(thrown) && !FAULTS[thrown.code].retryable) {
    return { kind: 'dead', failure: { code: thrown.code, text: thrown.message, deliveries: delivery } };
  }
  if (delivery >= settings.maxDeliver) {
    // An unknown error's text may hold anything, so only a fault's own text leaves the process.
    const last = isFault(thrown) ? `the last fault was ${thrown.code}: ${thrown.message}` : 'the cause is in its log';
    const text = `The item failed ${delivery} of ${settings.maxDeliver} times; ${last}`;
    return { kind: 'dead', failure: { code: isFault(thrown) ? thrown.code : 'INTERNAL', text, deliveries: delivery } };
  }
  return { kind: 'retry', delayMs: delayOf(delivery, settings.backoffMs) };
};

/** An item that comes back although it was handed out as often as allowed: its workers died with it. */
export const isExhausted = (delivery: number, { maxDeliver }: RedeliverySettings): boolean => delivery > maxDeliver;

export const exhaustedFailure = (delivery: number): WorkFailure => ({
  code: 'INTERNAL',
  text: `The item was handed out ${delivery - 1} times and no worker lived to answer: it may crash them or need too much memory.`,
  deliveries: delivery - 1,
});

const delayOf = (delivery: number, backoffMs: readonly number[]): number =>
  backoffMs[Math.min(delivery, backoffMs.length) - 1] ?? 0;
