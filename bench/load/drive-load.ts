/**
 * Sends calls and counts what comes of each: all of them are accepted, refused as BUSY, or failed, and one that is none of these is lost.
 * `driveOpen` sends at a rate whatever the answers do, as callers who know nothing of each other would, and tells how late it sent them;
 * `driveClosed` lets a fixed number of callers send one call after the other. Both end by themselves.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { isFault } from '../../shared/errors/fault.js';
import type { SeededRandom } from '../../shared/random/seeded-random.js';

export type Call = () => Promise<unknown>;

export interface Tally {
  started: number;
  /** Milliseconds of each call that was answered. */
  readonly accepted: number[];
  /** Milliseconds of each call that was refused as BUSY (RESOURCE_EXHAUSTED). */
  readonly refused: number[];
  /** Milliseconds by which each call was sent later than it was due: this process fell behind, and not the service. */
  readonly late: number[];
  /** Codes of all other ends. */
  readonly failed: string[];
  /** First call to last answer. */
  seconds: number;
}

export const lostOf = ({ started, accepted, refused, failed }: Tally): number =>
  started - accepted.length - refused.length - failed.length;

const newTally = (): Tally => ({ started: 0, accepted: [], refused: [], late: [], failed: [], seconds: 0 });

// Never more calls than this at once or in all, whatever rate is asked for.
const MAX_OPEN = 2_000;
const MAX_CALLS = 2_000_000;
// A call that has no answer this long after the last one was sent is lost.
const DRAIN_MS = 120_000;

/** Each caller sends its next call when its last one is answered. */
export const driveClosed = async (call: Call, callers: number, seconds: number): Promise<Tally> => {
  const tally = newTally();
  const from = performance.now();
  const until = from + seconds * 1000;
  const caller = async (): Promise<void> => {
    while (performance.now() < until && tally.started < MAX_CALLS) await send(call, tally);
  };
  await Promise.all(Array.from({ length: callers }, caller));
  tally.seconds = (performance.now() - from) / 1000;
  return tally;
};

export interface OpenLoad {
  readonly call: Call;
  /** Calls a second, on average; gaps are exponential. */
  readonly rate: number;
  readonly seconds: number;
  readonly random: SeededRandom;
}

export const driveOpen = async ({ call, rate, seconds, random }: OpenLoad): Promise<Tally> => {
  const tally = newTally();
  const open = new Set<Promise<void>>();
  // One promise for whichever call ends next: a race over two thousand calls at every step would take the processor from the service.
  let oneEnded = () => {};
  const from = performance.now();
  let due = from;
  while (due < from + seconds * 1000 && tally.started < MAX_CALLS) {
    const early = due - performance.now();
    if (early > 1) await sleep(early);
    // What is due is sent: a generator that fell behind catches up.
    if (open.size >= MAX_OPEN) await new Promise<void>((resolve) => (oneEnded = resolve));
    tally.late.push(Math.max(0, performance.now() - due));
    const sent = send(call, tally).finally(() => {
      open.delete(sent);
      oneEnded();
    });
    open.add(sent);
    due += (-Math.log(1 - random.uniform()) * 1000) / rate;
  }
  const drained = new AbortController();
  await Promise.race([
    Promise.all(open),
    sleep(DRAIN_MS, undefined, { signal: drained.signal }).catch(() => undefined),
  ]);
  drained.abort();
  tally.seconds = (performance.now() - from) / 1000;
  return tally;
};

const send = async (call: Call, tally: Tally): Promise<void> => {
  const sentAt = performance.now();
  tally.started++;
  try {
    await call();
    tally.accepted.push(performance.now() - sentAt);
  } catch (thrown) {
    if (isFault(thrown, 'BUSY')) tally.refused.push(performance.now() - sentAt);
    else tally.failed.push(isFault(thrown) ? thrown.code : String(thrown));
  }
};

/** @param share such as 0.99; NaN of nothing. */
export const quantile = (values: readonly number[], share: number): number => {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
};
