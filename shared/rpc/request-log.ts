/**
 * The outermost server middleware: gives every call a request id, and logs method, status and milliseconds once it ends.
 * Never logs a request or a response: prompts and answers stay out of the log by construction.
 */
import { randomUUID } from 'node:crypto';
import { type CallContext, ServerError, type ServerMiddleware, Status } from 'nice-grpc';
import type { Logger } from '../log/create-logger.js';
import type { Principal } from '../security/principal.js';
import { statusText } from './status-names.js';

export const REQUEST_ID_KEY = 'x-request-id';
// What callers may send as a request id: short and printable, so that it is safe in a log line and a trailer.
const REQUEST_ID_PATTERN = /^[\w.:-]{1,128}$/;

/** What handlers find in their context besides nice-grpc's own fields. */
export interface RequestContext {
  readonly requestId: string;
  /** Aborts when the server begins to stop: endless streams end on it. */
  readonly stopping: AbortSignal;
  /** Who calls; absent where no authorization stands before the handler. */
  readonly principal?: Principal;
}

const QUIET_PREFIXES = ['/grpc.health.', '/grpc.reflection.'];

export const createRequestLog = (logger: Logger, stopping: AbortSignal): ServerMiddleware<RequestContext> =>
  async function* requestLog(call, context) {
    const requestId = pickRequestId(context);
    context.trailer.set(REQUEST_ID_KEY, requestId);
    const startedAt = performance.now();
    let status: Status | undefined;
    try {
      const result = yield* call.next(call.request, Object.assign(context, { requestId, stopping }));
      status = Status.OK;
      return result;
    } catch (thrown) {
      status = thrown instanceof ServerError ? thrown.code : Status.UNKNOWN;
      throw thrown;
    } finally {
      // Neither returned nor thrown: the caller went away and the stream was closed under us.
      const line = { method: call.method.path, status: statusText(status ?? Status.CANCELLED), requestId };
      const ms = Math.round((performance.now() - startedAt) * 10) / 10;
      if (QUIET_PREFIXES.some((prefix) => call.method.path.startsWith(prefix))) logger.trace({ ...line, ms }, 'call');
      else logger.debug({ ...line, ms }, 'call');
    }
  };

const pickRequestId = (context: CallContext): string => {
  const given = context.metadata.get(REQUEST_ID_KEY);
  return given !== undefined && REQUEST_ID_PATTERN.test(given) ? given : randomUUID();
};
