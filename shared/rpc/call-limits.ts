/** Bounds on calls: how many a server answers at once, over all connections, and how long one may go on. Prevents: a queue without an end. */
import type { ServerMiddleware } from 'nice-grpc';
import { fault, isFault } from '../errors/fault.js';
import { isAbort } from './error-mapping.js';
import type { RequestContext } from './request-log.js';

export interface CallLimits {
  /** Beyond: BUSY. */
  readonly maxCalls: number;
  /** Beyond: DEADLINE. 0: no limit. */
  readonly maxCallMs: number;
}

export const createCallLimits = ({ maxCalls, maxCallMs }: CallLimits): ServerMiddleware<object, RequestContext> => {
  let running = 0;
  return async function* callLimits(call, context) {
    if (running >= maxCalls) throw fault('BUSY', `${running} calls are running here, the limit. Try again later.`);
    running += 1;
    const timer = maxCallMs > 0 ? AbortSignal.timeout(maxCallMs) : undefined;
    const signal = timer === undefined ? context.signal : AbortSignal.any([context.signal, timer]);
    try {
      return yield* call.next(call.request, Object.assign(context, { signal }));
    } catch (thrown) {
      if (timer?.aborted && (isAbort(thrown) || isFault(thrown, 'CANCELLED'))) {
        throw fault('DEADLINE', `The call went on for more than ${maxCallMs} ms, the limit of this server.`, {
          cause: thrown,
        });
      }
      throw thrown;
    } finally {
      running -= 1;
    }
  };
};
