/** A blob is handed out only if it is what its name says. Prevents: a damaged bank that gives plausible scores. */
import { fault } from '../errors/fault.js';
import { contentId } from './content-id.js';

const DIGEST = /^[0-9a-f]{64}$/;

/** Gives the digest back. @throws REQUEST_INVALID; also keeps a digest from being a path. */
export const assertDigest = (sha256: string): string => {
  if (DIGEST.test(sha256)) return sha256;
  throw fault('REQUEST_INVALID', `"${sha256.slice(0, 80)}" is no blob digest: 64 lower-case hex digits are needed.`);
};

/** @throws CHECKPOINT_CORRUPT */
export const checkedBlob = (sha256: string, bytes: Uint8Array): Uint8Array => {
  const found = contentId(bytes);
  if (found === sha256) return bytes;
  throw fault(
    'CHECKPOINT_CORRUPT',
    `The blob ${sha256} is damaged: its ${bytes.length} bytes have the digest ${found}.`,
  );
};
