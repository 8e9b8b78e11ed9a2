/**
 * The one place where anything thrown by a handler becomes a gRPC status. A fault gives its row of the registry; an abort gives
 * CANCELLED; the rest gives INTERNAL with a fixed text and the request id, and the cause goes to our log alone.
 * Prevents: stack traces, paths or prompt text that reach a caller.
 */
import { type Metadata, ServerError, type ServerMiddleware, Status } from 'nice-grpc';
import { FAULTS, type Fault, fault, isFault } from '../errors/fault.js';
import type { Logger } from '../log/create-logger.js';
import type { RequestContext } from './request-log.js';
import { ERROR_DOMAIN, encodeRichStatus, RICH_STATUS_KEY } from './rich-status.js';
import { statusNumber } from './status-names.js';

// Trailers travel as HTTP/2 headers, which peers cap at 8 to 16 kB: a longer text would turn the status into a transport error.
const MAX_STATUS_TEXT = 2000;

export const createErrorMapping = (logger: Logger): ServerMiddleware<object, RequestContext> =>
  async function* errorMapping(call, context) {
    try {
      return yield* call.next(call.request, context);
    } catch (thrown) {
      // A library's own status (reflection, health) is already fit for the caller.
      if (thrown instanceof ServerError) throw thrown;
      const mapped = toFault(thrown, context.requestId, context.signal.aborted);
      if (mapped.code === 'INTERNAL') {
        logger.error({ err: thrown, method: call.method.path, requestId: context.requestId }, 'handler failed');
      }
      throw toServerError(mapped, context.trailer, context.requestId);
    }
  };

const toFault = (thrown: unknown, requestId: string, callAborted: boolean): Fault => {
  if (isFault(thrown)) return thrown;
  if (isAbort(thrown) && callAborted) return fault('CANCELLED', 'The caller cancelled, or its deadline passed.');
  if (isAbort(thrown)) return fault('CANCELLED', 'The work was cancelled on the server.');
  return fault('INTERNAL', `Internal error. The server's log has the cause under request id ${requestId}.`);
};

/** What a signal throws when it aborts: AbortError, or TimeoutError of AbortSignal.timeout. */
export const isAbort = (thrown: unknown): boolean => {
  if (!(thrown instanceof Error)) return false;
  const isTimeout = thrown.name === 'TimeoutError' && thrown instanceof DOMException;
  return thrown.name === 'AbortError' || isTimeout || Reflect.get(thrown, 'code') === 'ABORT_ERR';
};

const toServerError = (mapped: Fault, trailer: ReturnType<typeof Metadata>, requestId: string): ServerError => {
  const status = statusNumber(FAULTS[mapped.code].status);
  const message = mapped.message.slice(0, MAX_STATUS_TEXT);
  trailer.set(
    RICH_STATUS_KEY,
    encodeRichStatus({
      status,
      message: '',
      reason: mapped.code,
      domain: ERROR_DOMAIN,
      requestId,
      details: mapped.details,
    }),
  );
  return new ServerError(status ?? Status.INTERNAL, message);
};
