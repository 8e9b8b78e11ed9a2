/**
 * The outermost client middleware: one deadline over all tries of a call. It cancels the call here and tells the server through
 * grpc-timeout, so that neither side works on for a caller that has given up.
 */
import { type ClientMiddleware, Metadata } from 'nice-grpc';
import { fault, isFault } from '../errors/fault.js';

export interface DeadlineOptions {
  /** Milliseconds from the call until DEADLINE. 0: none. */
  readonly deadlineMs?: number;
}

// grpc-timeout holds at most 8 digits; in milliseconds that is more than a day.
const MAX_TIMEOUT_MS = 99_999_999;

export const createClientDeadline = (defaultMs: number): ClientMiddleware<DeadlineOptions> =>
  async function* clientDeadline(call, options) {
    const { deadlineMs = call.responseStream ? 0 : defaultMs, ...rest } = options;
    if (deadlineMs <= 0) return yield* call.next(call.request, rest);
    const timeoutMs = Math.min(Math.ceil(deadlineMs), MAX_TIMEOUT_MS);
    const timer = AbortSignal.timeout(timeoutMs);
    const signal = rest.signal === undefined ? timer : AbortSignal.any([rest.signal, timer]);
    const metadata = Metadata(rest.metadata).set('grpc-timeout', `${timeoutMs}m`);
    try {
      return yield* call.next(call.request, { ...rest, signal, metadata });
    } catch (thrown) {
      if (isFault(thrown, 'CANCELLED') && timer.aborted && rest.signal?.aborted !== true) {
        throw fault('DEADLINE', `${call.method.path} did not end within ${timeoutMs} ms.`, { cause: thrown });
      }
      throw thrown;
    }
  };
