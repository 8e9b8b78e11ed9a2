/**
 * Sees an engine that is stuck: while it has work, a heartbeat job must be answered within a limit. The heartbeat waits its turn between
 * two batches, so the limit is longer than the longest single batch. Prevents: a pod that is alive, ready, and answers nothing for ever.
 */
import type { EngineStatistics, EngineThread } from './thread/messages.js';

export interface EngineWatchOptions {
  readonly intervalMs: number;
  /** From a heartbeat's start to the verdict. */
  readonly limitMs: number;
  readonly onWedged: (silentMs: number) => void;
  /** After `onWedged`, when the engine answers again. */
  readonly onAnswers: () => void;
  /** What the engine says of itself with each heartbeat. */
  readonly onStatistics?: (statistics: EngineStatistics) => void;
}

export interface WatchedEngine {
  /** Use this one: its jobs are what the watch knows of. */
  readonly engine: EngineThread;
  readonly isWedged: () => boolean;
  stop(): void;
}

export const watchEngine = (engine: EngineThread, options: EngineWatchOptions): WatchedEngine => {
  let jobs = 0;
  let askedAt: number | undefined;
  let isWedged = false;
  // Asked even if nobody looks at the answer: that it comes is the point.
  const beat = async (): Promise<void> => {
    askedAt = performance.now();
    try {
      const statistics = await engine.run('statistics', {}, new AbortController().signal);
      options.onStatistics?.(statistics);
    } catch {
      // The thread has ended: whoever started it knows, and says so.
      return;
    } finally {
      askedAt = undefined;
    }
    if (isWedged) options.onAnswers();
    isWedged = false;
  };
  const look = (): void => {
    const silentMs = askedAt === undefined ? 0 : performance.now() - askedAt;
    if (askedAt === undefined && jobs > 0) void beat();
    if (silentMs <= options.limitMs || isWedged) return;
    isWedged = true;
    options.onWedged(Math.round(silentMs));
  };
  const timer = setInterval(look, options.intervalMs).unref();
  return {
    engine: {
      ready: engine.ready,
      stop: () => engine.stop(),
      run: async (kind, input, signal, onEvent) => {
        jobs += 1;
        try {
          return await engine.run(kind, input, signal, onEvent);
        } finally {
          jobs -= 1;
        }
      },
    },
    isWedged: () => isWedged,
    stop: () => clearInterval(timer),
  };
};
