/** The loop that hands items of a local queue to a handler and settles them by the rules both engines share. */
import type { ConsumeOptions, Consumption, ConsumptionCounts, WorkHandler } from '../bus.js';
import { judgeFailure, type RedeliverySettings, redeliverySettings } from '../judge-failure.js';
import { waitAtMost } from '../wake-up.js';
import type { LocalWorkQueue, QueuedItem } from './local-work-queue.js';

export interface LocalWorkers {
  readonly consumption: Consumption;
  readonly idleSlots: () => number;
}

export const startLocalWorkers = (
  queue: LocalWorkQueue,
  handler: WorkHandler,
  options: ConsumeOptions | undefined,
  closed: AbortSignal,
): LocalWorkers => {
  const settings = redeliverySettings(options);
  const counts = { done: 0, repeated: 0, retried: 0, dead: 0 };
  const count = (outcome: keyof ConsumptionCounts): void => {
    counts[outcome]++;
    settings.onSettled(outcome);
  };
  const stopTaking = new AbortController();
  const stopWorking = new AbortController();
  const taking = AbortSignal.any([stopTaking.signal, closed]);
  const working = AbortSignal.any([stopWorking.signal, closed]);
  let busy = 0;

  const handle = async (queued: QueuedItem): Promise<void> => {
    const known = queued.item.delivery > 1 ? await queue.outcome(queued.item.id) : undefined;
    if (known?.kind === 'done') {
      count('repeated');
      return queue.finish(queued, known);
    }
    try {
      const result = await handler(queued.item, working);
      count('done');
      queue.finish(queued, { kind: 'done', result: result.slice() });
    } catch (thrown) {
      if (working.aborted) queue.giveBack(queued, 0);
      else settle(queue, queued, thrown, settings, count);
    }
  };

  const slot = async (): Promise<void> => {
    while (!taking.aborted) {
      const { queued, waitMs } = queue.take();
      if (queued === undefined) {
        await queue.newItem.wait(waitMs, taking);
        continue;
      }
      busy++;
      await handle(queued);
      busy--;
    }
  };
  const slots = Promise.all(Array.from({ length: settings.concurrency }, slot));
  return {
    idleSlots: () => (taking.aborted ? 0 : settings.concurrency - busy),
    consumption: {
      counts: () => ({ ...counts }),
      drain: async (graceMs) => {
        stopTaking.abort();
        await waitAtMost(slots, graceMs);
        stopWorking.abort();
        await slots;
      },
    },
  };
};

const settle = (
  queue: LocalWorkQueue,
  queued: QueuedItem,
  thrown: unknown,
  settings: RedeliverySettings,
  count: (outcome: 'retried' | 'dead') => void,
): void => {
  const verdict = judgeFailure(thrown, queued.item.delivery, settings);
  if (verdict.kind === 'retry') {
    count('retried');
    queue.giveBack(queued, verdict.delayMs);
    return;
  }
  count('dead');
  queue.finish(queued, { kind: 'failed', failure: verdict.failure });
};
