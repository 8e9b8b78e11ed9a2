/**
 * Asks for the results of work items, each computed at most once: a stored result is taken as it is, an item that is in the queue is
 * waited for, and one that the server lost is published again. Prevents: an evaluation that is lost with a crash on either side.
 */
import { setMaxListeners } from 'node:events';
import { fault, isFault } from '../errors/fault.js';
import { thrownIfAborted } from './aborted.js';
import type { NewWork, PublishedWork, StoredOutcome, WorkQueue } from './bus.js';
import { contentId } from './content-id.js';
import { creditWindowOf } from './credit-window.js';
import { createWakeUp, sleep } from './wake-up.js';

/** After this long without an outcome it is asked whether the server still has the item. */
const DOUBT_MS = 15_000;
const FULL_PAUSE_MS = 200;
/** Loops that ask; the credit window decides how many items are in the queue. */
const MAX_LOOPS = 512;

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
  const answers: WorkAnswer[] = [];
  const bell = createWakeUp();
  const credit = creditWindowOf(queue);
  let failed: { readonly reason: unknown } | undefined;
  let next = 0;

  const loop = async (): Promise<void> => {
    while (next < works.length && failed === undefined) {
      const index = next++;
      const work = works[index]!;
      const result = await credit.run(work.requester, () => requestOne(queue, work, either), either);
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

const requestOne = async (queue: WorkQueue, work: NewWork, signal: AbortSignal): Promise<Uint8Array> => {
  const id = work.id ?? contentId(work.payload);
  const earlier = await queue.outcome(id);
  if (earlier?.kind === 'done') return earlier.result;
  // An old failure is not the answer: whatever was wrong may be well by now.
  const after = earlier?.sequence ?? 0;
  let tries = 0;
  for (;;) {
    const suffix = after === 0 && tries === 0 ? '' : `.${after}.${tries}`;
    const published = await publishWhenRoom(queue, { ...work, id, dedupeId: `${id}${suffix}` }, signal);
    const outcome = await outcomeOf(queue, published, after, signal);
    if (outcome?.kind === 'done') return outcome.result;
    if (outcome !== undefined) throw fault(outcome.failure.code, outcome.failure.text);
    tries++;
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
  { id, position, duplicate }: PublishedWork,
  afterSequence: number,
  signal: AbortSignal,
): Promise<StoredOutcome | undefined> => {
  try {
    // A duplicate of an item that is not there any more (done, or withdrawn by its requester) will not be worked on.
    for (let limitMs = duplicate ? 0 : DOUBT_MS; ; limitMs = DOUBT_MS) {
      const outcome = await queue.awaitOutcome(id, { afterSequence, limitMs, signal });
      if (outcome !== undefined) return outcome;
      if (await queue.holds(position)) continue;
      // Between the two questions the item may have been done: its outcome was stored before it left.
      const last = await queue.outcome(id);
      return last !== undefined && (last.kind === 'done' || last.sequence > afterSequence) ? last : undefined;
    }
  } catch (thrown) {
    // Another requester may count on an item that it published first.
    if (isFault(thrown, 'CANCELLED') && !duplicate) await queue.withdraw(position);
    throw thrown;
  }
};
