/** Waits for the outcome of one item, whether it is there already or comes later. */
import type { NextOutcomeOptions, StoredOutcome, WorkQueue } from './bus.js';

/** Undefined if there is none within `limitMs`. @throws CANCELLED */
export const awaitOutcome = async (
  queue: WorkQueue,
  id: string,
  options: NextOutcomeOptions,
): Promise<StoredOutcome | undefined> => {
  // Listening begins first, so that an outcome between the two is not missed.
  const listener = queue.listen(id);
  try {
    const stored = await queue.outcome(id);
    if (stored !== undefined && isNews(stored, options.afterSequence ?? 0)) return stored;
    return await listener.next(options);
  } finally {
    listener.close();
  }
};

export const isNews = (outcome: StoredOutcome, afterSequence: number): boolean =>
  outcome.kind === 'done' || outcome.sequence > afterSequence;
