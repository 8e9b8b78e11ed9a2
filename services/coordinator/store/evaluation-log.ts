/**
 * The append-only file of finished evaluations. A frame is: payload length (uint32), first 4 bytes of the payload's sha256, payload =
 * scope length (uint16), scope (UTF-8), record. All little-endian. A process that dies while it appends leaves a cut last frame: reading
 * stops before it, and the next append cuts it off. Prevents: a checkpoint that is lost, or worse misread, because its last bytes are.
 */
import { createHash } from 'node:crypto';
import { open, readFile } from 'node:fs/promises';
import type { StoredEvaluation } from './audit-store.js';

const HEADER_BYTES = 8;
// A record is a few hundred bytes; a longer frame can only be damage.
const MAX_PAYLOAD_BYTES = 16 * 1024 * 1024;

export const encodeFrame = ({ scope, record }: StoredEvaluation): Buffer => {
  const name = Buffer.from(scope, 'utf8');
  const payload = Buffer.alloc(2 + name.length + record.length);
  payload.writeUInt16LE(name.length, 0);
  payload.set(name, 2);
  payload.set(record, 2 + name.length);
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32LE(payload.length, 0);
  header.set(checksum(payload), 4);
  return Buffer.concat([header, payload]);
};

const checksum = (payload: Uint8Array): Buffer => createHash('sha256').update(payload).digest().subarray(0, 4);

export interface DecodedLog {
  readonly evaluations: StoredEvaluation[];
  /** Bytes up to the end of the last whole frame. */
  readonly soundBytes: number;
}

/** Reads frames up to the first one that is cut or damaged. */
export const decodeLog = (bytes: Buffer): DecodedLog => {
  const evaluations: StoredEvaluation[] = [];
  let offset = 0;
  while (offset + HEADER_BYTES <= bytes.length) {
    const length = bytes.readUInt32LE(offset);
    const start = offset + HEADER_BYTES;
    if (length < 2 || length > MAX_PAYLOAD_BYTES || start + length > bytes.length) break;
    const payload = bytes.subarray(start, start + length);
    if (!checksum(payload).equals(bytes.subarray(offset + 4, start))) break;
    const scopeEnd = 2 + payload.readUInt16LE(0);
    if (scopeEnd > length) break;
    evaluations.push({ scope: payload.toString('utf8', 2, scopeEnd), record: payload.subarray(scopeEnd) });
    offset = start + length;
  }
  return { evaluations, soundBytes: offset };
};

const readLog = async (path: string): Promise<Buffer> => {
  try {
    return await readFile(path);
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') return Buffer.alloc(0);
    throw thrown;
  }
};

export const readEvaluationLog = async (path: string): Promise<StoredEvaluation[]> =>
  decodeLog(await readLog(path)).evaluations;

/** Cuts a damaged tail off, so that what is appended next can be read. */
export const repairEvaluationLog = async (path: string): Promise<void> => {
  const bytes = await readLog(path);
  const { soundBytes } = decodeLog(bytes);
  if (soundBytes === bytes.length) return;
  const file = await open(path, 'r+');
  try {
    await file.truncate(soundBytes);
  } finally {
    await file.close();
  }
};
