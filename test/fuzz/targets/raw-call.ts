/** One call with any bytes for a request, over a real connection, and the status it ended with. */
import { type Client, type Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { FAULTS } from '../../../shared/errors/fault.js';
import { decodeRichStatus, RICH_STATUS_KEY } from '../../../shared/rpc/rich-status.js';

export interface Answer {
  /** A name of google.rpc.Code. */
  readonly status: string;
  /** The fault's code, where the server sent one. */
  readonly reason: string | undefined;
  readonly text: string;
  /** The messages of the answer. */
  readonly messages: readonly Buffer[];
}

export interface CalledMethod {
  readonly path: string;
  readonly responseStream: boolean;
}

const same = (bytes: Buffer): Buffer => bytes;

export const callRaw = (
  client: Client,
  method: CalledMethod,
  request: Uint8Array,
  deadlineMs: number,
): Promise<Answer> =>
  new Promise((resolve) => {
    const options = { deadline: Date.now() + deadlineMs };
    const messages: Buffer[] = [];
    const end = (error: ServiceError | null): void =>
      resolve({
        status: status[error?.code ?? status.OK]!,
        reason: reasonOf(error?.metadata),
        text: error?.details ?? '',
        messages,
      });
    if (!method.responseStream) {
      client.makeUnaryRequest(method.path, same, same, Buffer.from(request), options, (error, message) => {
        if (message !== undefined) messages.push(message);
        end(error);
      });
      return;
    }
    const stream = client.makeServerStreamRequest(method.path, same, same, Buffer.from(request), options);
    stream.on('data', (message: Buffer) => messages.push(message));
    stream.once('error', (error: ServiceError) => end(error));
    stream.once('end', () => end(null));
  });

const reasonOf = (metadata: Metadata | undefined): string | undefined => {
  const [bytes] = metadata?.get(RICH_STATUS_KEY) ?? [];
  return bytes instanceof Uint8Array ? decodeRichStatus(bytes)?.reason : undefined;
};

/** Statuses that the gRPC library gives by itself, at either end: no handler has seen the call, or its time ran out. */
const LIBRARY = new Set(['DEADLINE_EXCEEDED', 'CANCELLED', 'RESOURCE_EXHAUSTED', 'UNIMPLEMENTED']);

/** What is wrong with an answer; undefined: nothing. */
export const problemOf = ({ status: name, reason, text }: Answer): string | undefined => {
  if (name === 'OK') return undefined;
  const isRegistered = reason !== undefined && Object.hasOwn(FAULTS, reason) && reason !== 'INTERNAL';
  return isRegistered || (reason === undefined && LIBRARY.has(name)) ? undefined : `${name} ${reason ?? ''}: ${text}`;
};
