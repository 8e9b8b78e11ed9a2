/** Size limits of what goes on the bus. Prevents: an item that one engine takes and the other refuses. */
import { fault } from '../errors/fault.js';

// nats-server takes 1 MiB with headers by default; a quarter is left for headers and the frames around a payload.
export const MAX_MESSAGE_BYTES = 768 * 1024;
// A bank of 10,000 edits for d_model 4096 has 330 MB; more than that is no bank.
export const MAX_BLOB_BYTES = 1024 * 1024 * 1024;

/** @throws REQUEST_TOO_LARGE */
export const assertMessageSize = (what: string, bytes: Uint8Array): void => {
  if (bytes.length <= MAX_MESSAGE_BYTES) return;
  const advice = 'Put large values into the blob store and send their digest.';
  throw fault('REQUEST_TOO_LARGE', `${what} has ${bytes.length} bytes; the bus takes ${MAX_MESSAGE_BYTES}. ${advice}`);
};

/** @throws REQUEST_TOO_LARGE */
export const assertBlobSize = (bytes: Uint8Array): void => {
  if (bytes.length <= MAX_BLOB_BYTES) return;
  throw fault('REQUEST_TOO_LARGE', `The blob has ${bytes.length} bytes; the limit is ${MAX_BLOB_BYTES}.`);
};
