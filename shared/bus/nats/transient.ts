/** Which errors of the NATS client pass by themselves. Prevents: an audit that fails because a server was restarted. */
import { JetStreamApiCodes, JetStreamApiError } from '@nats-io/jetstream';
import { errors } from '@nats-io/transport-node';

/** The server is away, starting, electing a leader or short of resources. */
export const isTransient = (thrown: unknown): boolean => {
  // A full queue comes as a 503 as well, but only its requester can decide to wait.
  if (fullness(thrown) !== undefined) return false;
  if (thrown instanceof JetStreamApiError) return thrown.status >= 500 || isMissing(thrown);
  if (thrown instanceof errors.ClosedConnectionError || thrown instanceof errors.DrainingConnectionError) return false;
  if (isForbidden(thrown) || thrown instanceof errors.InvalidArgumentError) return false;
  if (thrown instanceof errors.InvalidSubjectError || thrown instanceof errors.InvalidOperationError) return false;
  return thrown instanceof Error;
};

/** The server's permissions do not allow it. */
export const isForbidden = (thrown: unknown): thrown is Error =>
  thrown instanceof errors.PermissionViolationError ||
  (thrown instanceof errors.RequestError && thrown.cause instanceof errors.PermissionViolationError);

/** A stream or consumer that was there is gone: the server lost its store. */
export const isMissing = (thrown: unknown): boolean =>
  apiCode(thrown) === JetStreamApiCodes.StreamNotFound ||
  apiCode(thrown) === JetStreamApiCodes.ConsumerNotFound ||
  (thrown instanceof errors.RequestError && thrown.isNoResponders());

export const isWrongSequence = (thrown: unknown): boolean =>
  apiCode(thrown) === JetStreamApiCodes.StreamWrongLastSequence ||
  apiCode(thrown) === JetStreamApiCodes.StreamWrongLastSequenceUnknown;

// "maximum messages exceeded" and "maximum messages per subject exceeded" share this code.
const STREAM_STORE_FAILED = 10077;

/** Undefined unless the stream refused a message because it is full. */
export const fullness = (thrown: unknown): 'stream' | 'subject' | undefined => {
  if (apiCode(thrown) !== STREAM_STORE_FAILED || !(thrown instanceof Error)) return undefined;
  if (thrown.message.includes('per subject')) return 'subject';
  return thrown.message.includes('maximum') ? 'stream' : undefined;
};

const apiCode = (thrown: unknown): number | undefined =>
  thrown instanceof JetStreamApiError ? thrown.code : undefined;
