/**
 * Asks for the results of work items, each computed at most once: a stored result is taken as it is, an item that is in the queue is
 * waited for, and one that the server lost is published again. Prevents: an evaluation that is lost with a crash on either side.
 */
import { setMaxListeners } from 'node:events';
import { fault, isFault } from '../errors/fault.js';
import { thrownIfAborted } from './aborted.js';
import { isNews } from './await-outcome.js';
import type { NewWork, OutcomeListener, PublishedWork, StoredOutcome, WorkQueue } from './bus.js';
import { contentId } from './content-id.js';
import { creditWindowOf } from './credit-window.js';
import { createWakeUp, sleep } from './wake-up.js';

/** After this long without an outcome it is asked whether the server still has the item. */
const DOUBT_MS = 15_000;
const FULL_PAUSE_MS = 200;
/** Loops that ask; the credit window decides how many items are in the queue. */
const MAX_LOOPS = 512;
const LOOKUP_PAGE = 256;

export interface WorkAnswer {
  /** Place in the works that were asked for. */
  readonly index: number;
  readonly result: Uint8Array;
}

/**
 * Answers in any order, each as soon as it is there. Items that are not needed any more are taken back.
 * @throws the fault that ended an item; CANCELLED
 */
export async function* requestWork(
  queue: WorkQueue,
  works: readonly NewWork[],
  signal?: AbortSignal,
): AsyncGenerator<WorkAnswer> {
  const ended = new AbortController();
  const either = signal === undefined ? ended.signal : AbortSignal.any([signal, ended.signal]);
  // Every item in flight listens: more than Node's ten are no leak here.
  setMaxListeners(0, either);
  const ids = works.map((work) => work.id ?? contentId(work.payload));
  const lookup = createLookup(queue, ids);
  const answers: WorkAnswer[] = [];
  const bell = createWakeUp();
  const credit = creditWindowOf(queue);
  let failed: { readonly reason: unknown } | undefined;
  let next = 0;

  const loop = async (): Promise<void> => {
    while (next < works.length && failed === undefined) {
      const index = next++;
      const work = { ...works[index]!, id: ids[index]! };
      const request = async () => requestOne(queue, work, await lookup(index), either);
      const result = await credit.run(work.requester, request, either);
      answers.push({ index, result });
      bell.ring();
    }
  };
  const loops = Array.from({ length: Math.min(works.length, MAX_LOOPS) }, () =>
    loop().catch((reason: unknown) => {
      failed ??= { reason };
      bell.ring();
    }),
  );
  try {
    for (let given = 0; given < works.length; ) {
      const batch = answers.splice(0);
      yield* batch;
      given += batch.length;
      if (batch.length > 0) continue;
      if (failed !== undefined) throw failed.reason;
      await bell.wait(DOUBT_MS);
    }
  } finally {
    ended.abort();
    await Promise.all(loops);
  }
}

/** The stored outcomes of all works, looked up some hundred at a time, shortly before they are needed. */
const createLookup = (queue: WorkQueue, ids: readonly string[]) => {
  const pages = new Map<number, Promise<ReadonlyMap<string, StoredOutcome>>>();
  return async (index: number): Promise<StoredOutcome | undefined> => {
    const page = Math.floor(index / LOOKUP_PAGE);
    const first = page * LOOKUP_PAGE;
    const looked = pages.get(page) ?? queue.outcomes(ids.slice(first, first + LOOKUP_PAGE));
    pages.set(page, looked);
    return (await looked).get(ids[index]!);
  };
};

const requestOne = async (
  queue: WorkQueue,
  work: NewWork & { readonly id: string },
  earlier: StoredOutcome | undefined,
  signal: AbortSignal,
): Promise<Uint8Array> => {
  if (earlier?.kind === 'done') return earlier.result;
  // An old failure is not the answer: whatever was wrong may be well by now.
  const after = earlier?.sequence ?? 0;
  const listener = queue.listen(work.id);
  try {
    for (let tries = 0; ; tries++) {
      const suffix = after === 0 && tries === 0 ? '' : `.${after}.${tries}`;
      const published = await publishWhenRoom(queue, { ...work, dedupeId: `${work.id}${suffix}` }, signal);
      const outcome = await outcomeOf(queue, listener, published, after, signal);
      if (outcome?.kind === 'done') return outcome.result;
      if (outcome !== undefined) throw fault(outcome.failure.code, outcome.failure.text);
    }
  } finally {
    listener.close();
  }
};

const publishWhenRoom = async (queue: WorkQueue, work: NewWork, signal: AbortSignal): Promise<PublishedWork> => {
  for (;;) {
    thrownIfAborted(signal);
    try {
      return await queue.publish(work);
    } catch (thrown) {
      if (!isFault(thrown, 'BUSY')) throw thrown;
    }
    await sleep(FULL_PAUSE_MS * (0.5 + Math.random()), signal);
  }
};

/** Undefined: the server has neither the item nor an outcome of it. */
const outcomeOf = async (
  queue: WorkQueue,
  listener: OutcomeListener,
  { id, position, duplicate }: PublishedWork,
  afterSequence: number,
  signal: AbortSignal,
): Promise<StoredOutcome | undefined> => {
  try {
    // A duplicate may be of an item that is not there any more: done before we listened, or withdrawn by its requester.
    for (let limitMs = duplicate ? 0 : DOUBT_MS; ; limitMs = DOUBT_MS) {
      const outcome = await listener.next({ afterSequence, limitMs, signal });
      if (outcome !== undefined) return outcome;
      const isHeld = await queue.holds(position);
      // Asked last: an item leaves the queue only after its outcome was stored.
      const last = await queue.outcome(id);
      if (last !== undefined && isNews(last, afterSequence)) return last;
      if (!isHeld) return undefined;
    }
  } catch (thrown) {
    // Another requester may count on an item that it published first.
    if (isFault(thrown, 'CANCELLED') && !duplicate) await queue.withdraw(position);
    throw thrown;
  }
};
