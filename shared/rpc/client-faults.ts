/** The innermost client middleware: whatever a call throws becomes a Fault, so that domain code never sees a gRPC error. */
import { ClientError, type ClientMiddleware, type Metadata, Status } from 'nice-grpc';
import { FAULTS, type Fault, type FaultCode, fault, isFault } from '../errors/fault.js';
import { isAbort } from './error-mapping.js';
import { decodeRichStatus, ERROR_DOMAIN, RICH_STATUS_KEY } from './rich-status.js';
import { statusText } from './status-names.js';

export const createClientFaults = (address: string): ClientMiddleware =>
  async function* clientFaults(call, options) {
    let trailer: Metadata | undefined;
    try {
      return yield* call.next(call.request, {
        ...options,
        onTrailer: (received) => {
          trailer = received;
          options.onTrailer?.(received);
        },
      });
    } catch (thrown) {
      throw toFault(thrown, trailer, call.method.path, address);
    }
  };

const toFault = (thrown: unknown, trailer: Metadata | undefined, path: string, address: string): Fault => {
  if (isFault(thrown)) return thrown;
  if (isAbort(thrown)) return fault('CANCELLED', `${path} was cancelled.`, { cause: thrown });
  if (!(thrown instanceof ClientError)) {
    return fault('INTERNAL', `${path} failed in the client: ${thrown instanceof Error ? thrown.message : thrown}`, {
      cause: thrown,
    });
  }
  return faultOfTrailer(thrown, trailer) ?? faultOfStatus(thrown, path, address);
};

const faultOfTrailer = (error: ClientError, trailer: Metadata | undefined): Fault | undefined => {
  const bytes = trailer?.get(RICH_STATUS_KEY);
  const rich = bytes instanceof Uint8Array ? decodeRichStatus(bytes) : undefined;
  if (rich?.domain !== ERROR_DOMAIN || !(rich.reason in FAULTS)) return undefined;
  return fault(rich.reason as FaultCode, error.details, {
    cause: error,
    details: { ...rich.details, requestId: rich.requestId },
  });
};

/** Statuses that gRPC itself makes (no trailer of ours): the peer is away, the deadline passed, a message is over the limit. */
const faultOfStatus = (error: ClientError, path: string, address: string): Fault => {
  const said = `${path} at ${address}: ${error.details}`;
  switch (error.code) {
    case Status.UNAVAILABLE:
      return fault('PEER_UNAVAILABLE', said, { cause: error });
    case Status.DEADLINE_EXCEEDED:
      return fault('DEADLINE', said, { cause: error });
    case Status.CANCELLED:
      return fault('CANCELLED', said, { cause: error });
    case Status.UNAUTHENTICATED:
      return fault('UNAUTHENTICATED', said, { cause: error });
    case Status.PERMISSION_DENIED:
      return fault('FORBIDDEN', said, { cause: error });
    case Status.UNIMPLEMENTED:
      return fault('UNSUPPORTED', said, { cause: error });
    case Status.RESOURCE_EXHAUSTED:
      return fault(/larger than max/i.test(error.details) ? 'REQUEST_TOO_LARGE' : 'BUSY', said, { cause: error });
    case Status.INVALID_ARGUMENT:
      return fault('REQUEST_INVALID', said, { cause: error });
    default:
      return fault('INTERNAL', `${said} (${statusText(error.code)})`, { cause: error });
  }
};
