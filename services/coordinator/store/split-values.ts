/**
 * Values of any size on a checkpoint store, whose own values are small: a long one is cut into parts, and its key then holds their digest
 * and number. Parts are named by the digest and written first, so a reader finds the old value or the new one. Prevents: an audit that
 * cannot be stored because its prompt set or one stage's result is larger than a message.
 */
import type { CheckpointStore, PutOptions } from '../../../shared/bus/bus.js';
import { contentId } from '../../../shared/bus/content-id.js';
import { MAX_MESSAGE_BYTES } from '../../../shared/bus/message-limits.js';
import { fault } from '../../../shared/errors/fault.js';

const WHOLE = 0;
const SPLIT = 1;
const PART_BYTES = MAX_MESSAGE_BYTES - 1024;

/** @throws REVISION_CONFLICT */
export const writeValue = async (
  store: CheckpointStore,
  key: string,
  value: Uint8Array,
  options: PutOptions = {},
): Promise<void> => {
  if (value.length <= PART_BYTES) {
    await store.put(key, Buffer.concat([Buffer.of(WHOLE), value]), options);
    return;
  }
  const digest = contentId(value);
  const parts = Math.ceil(value.length / PART_BYTES);
  const fence = options.fence === undefined ? {} : { fence: options.fence };
  for (let i = 0; i < parts; i++) {
    await store.put(partKey(key, digest, i), value.subarray(i * PART_BYTES, (i + 1) * PART_BYTES), fence);
  }
  await store.put(
    key,
    Buffer.concat([Buffer.of(SPLIT), Buffer.from(JSON.stringify({ digest, parts }), 'utf8')]),
    options,
  );
};

/** Undefined if there is none. @throws CHECKPOINT_CORRUPT if a part is gone or changed. */
export const readValue = async (store: CheckpointStore, key: string): Promise<Uint8Array | undefined> => {
  const found = (await store.get(key))?.value;
  if (found === undefined) return undefined;
  if (found[0] === WHOLE) return found.subarray(1);
  const { digest, parts } = headOf(found, key);
  const pieces: Uint8Array[] = [];
  for (let i = 0; i < parts; i++) {
    const piece = await store.get(partKey(key, digest, i));
    if (piece === undefined) throw damaged(key, `part ${i + 1} of ${parts} is gone`);
    pieces.push(piece.value);
  }
  const whole = Buffer.concat(pieces);
  if (contentId(whole) !== digest) throw damaged(key, 'its parts do not have its digest');
  return whole;
};

const partKey = (key: string, digest: string, part: number): string => `parts/${key}/${digest.slice(0, 16)}/${part}`;

const headOf = (found: Uint8Array, key: string): { readonly digest: string; readonly parts: number } => {
  try {
    const head: unknown = JSON.parse(Buffer.from(found.subarray(1)).toString('utf8'));
    const { digest, parts } = head as { digest: unknown; parts: unknown };
    if (found[0] === SPLIT && typeof digest === 'string' && Number.isSafeInteger(parts)) {
      return { digest, parts: parts as number };
    }
  } catch {
    // Told below.
  }
  throw damaged(key, 'its head cannot be read');
};

const damaged = (key: string, what: string) =>
  fault(
    'CHECKPOINT_CORRUPT',
    `The checkpoint "${key}" is damaged: ${what}. Delete it to have its stage run again, then resume.`,
  );
