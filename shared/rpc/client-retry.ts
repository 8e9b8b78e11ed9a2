/**
 * Retries with full jitter, and only where it is safe: the proto marks the method idempotent, the fault's row says that a retry can
 * help, and no response of the stream has reached the caller yet. Bounded, so that a dead peer is reported and not waited on for ever.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientMiddleware } from 'nice-grpc';
import { FAULTS, isFault } from '../errors/fault.js';

export interface RetryOptions {
  /** Tries in all, the first included. */
  readonly maxAttempts: number;
  readonly baseDelayMs: number;
  readonly maxDelayMs: number;
}

export const DEFAULT_RETRY: RetryOptions = { maxAttempts: 4, baseDelayMs: 100, maxDelayMs: 3_000 };

export const createClientRetry = (retry: RetryOptions): ClientMiddleware =>
  async function* clientRetry(call, options) {
    const attempts = call.method.options.idempotencyLevel === undefined || call.requestStream ? 1 : retry.maxAttempts;
    for (let attempt = 1; ; attempt++) {
      let delivered = false;
      try {
        if (!call.responseStream) return yield* call.next(call.request, options);
        for await (const response of call.next(call.request, options)) {
          delivered = true;
          yield response;
        }
        return;
      } catch (thrown) {
        if (delivered || attempt >= attempts || !canRetry(thrown)) throw thrown;
        await pause(attempt, retry, options.signal).catch(() => {
          throw thrown;
        });
      }
    }
  };

const canRetry = (thrown: unknown): boolean => isFault(thrown) && FAULTS[thrown.code].retryable;

const pause = (attempt: number, retry: RetryOptions, signal: AbortSignal | undefined): Promise<void> => {
  const ceiling = Math.min(retry.maxDelayMs, retry.baseDelayMs * 2 ** (attempt - 1));
  return sleep(Math.random() * ceiling, undefined, { signal });
};
