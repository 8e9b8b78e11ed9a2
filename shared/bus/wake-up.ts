/** Waiting that ends early: for a ring, for the signal, or when the time is over. Prevents: busy polling, and a sleep that outlives its owner. */

export interface WakeUp {
  ring(): void;
  /** Returns at once if it rang since the last wait. */
  wait(limitMs: number, signal?: AbortSignal): Promise<void>;
}

export const createWakeUp = (): WakeUp => {
  let rang = false;
  const sleepers = new Set<() => void>();
  return {
    ring: () => {
      rang = true;
      for (const wake of sleepers) wake();
    },
    wait: async (limitMs, signal) => {
      if (!rang && signal?.aborted !== true) {
        await new Promise<void>((resolve) => {
          const wake = (): void => {
            clearTimeout(timer);
            sleepers.delete(wake);
            signal?.removeEventListener('abort', wake);
            resolve();
          };
          const timer = setTimeout(wake, limitMs);
          sleepers.add(wake);
          signal?.addEventListener('abort', wake);
        });
      }
      rang = false;
    },
  };
};

/** Resolves early, and without an error, when the signal aborts. */
export const sleep = (ms: number, signal?: AbortSignal): Promise<void> => createWakeUp().wait(ms, signal);

/** Waits for `work`, but no longer than the limit; leaves no timer behind. What `work` throws is thrown. */
export const waitAtMost = async (work: Promise<unknown>, limitMs: number): Promise<void> => {
  const ended = new AbortController();
  try {
    await Promise.race([work, sleep(limitMs, ended.signal)]);
  } finally {
    ended.abort();
  }
};
