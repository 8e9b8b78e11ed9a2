/** Follows the chain of an audit log from its first line to its last. Cannot see lines that are missing at the end: compare the head with one kept elsewhere. */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { fault } from '../errors/fault.js';
import { FIRST_PREVIOUS, hashLine } from './audit-log.js';

export type AuditLogVerdict =
  | { readonly sound: true; readonly lines: number; readonly head: string }
  | { readonly sound: false; readonly line: number; readonly problem: string };

/** Throws FILE_NOT_FOUND. Reads line by line: the file may be larger than memory. */
export const verifyAuditLog = async (path: string): Promise<AuditLogVerdict> => {
  const input = createReadStream(path);
  let previous = FIRST_PREVIOUS;
  let lines = 0;
  try {
    for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
      lines += 1;
      const problem = problemOf(line, lines, previous);
      if (problem !== undefined) return { sound: false, line: lines, problem };
      previous = hashLine(line);
    }
  } catch (cause) {
    throw fault('FILE_NOT_FOUND', `The audit log ${path} cannot be read.`, { cause });
  } finally {
    input.destroy();
  }
  return { sound: true, lines, head: previous };
};

const problemOf = (line: string, number: number, previous: string): string | undefined => {
  const entry = entryOf(line);
  if (entry === undefined) return 'it is no JSON object: cut short, or written by something else';
  if (entry.previous !== previous)
    return 'it does not name the hash of the line before it: one of the two was changed, or lines are missing between them';
  if (entry.sequence !== number) return `its number is ${String(entry.sequence)} and it is line ${number}`;
  return undefined;
};

const entryOf = (line: string): { readonly sequence?: unknown; readonly previous?: unknown } | undefined => {
  try {
    const entry: unknown = JSON.parse(line);
    return typeof entry === 'object' && entry !== null ? entry : undefined;
  } catch {
    return undefined;
  }
};
