/**
 * Parses JSON from a file within bounds. JSON.parse alone would let 100 MB of `[],[],[]` become gigabytes of objects, and would
 * silently keep the last of two equal keys, so that two readers of one file could see different tensors.
 */
import { isUtf8 } from 'node:buffer';
import { corruptFile, quoted } from './tensor-file-faults.js';

export interface JsonBounds {
  /** Levels of objects and arrays. */
  readonly maxDepth: number;
  /** Objects, arrays and values in all. */
  readonly maxItems: number;
  /** Keys of the outermost object. */
  readonly maxKeys: number;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPENERS: ReadonlySet<number> = new Set([0x5b, 0x7b]); // [ {
const CLOSERS: ReadonlySet<number> = new Set([0x5d, 0x7d]); // ] }

/** The object that `bytes` hold. Faults: TENSOR_FILE_CORRUPT (bounds, syntax, not an object, a key of the object given twice). */
export const parseBoundedJson = (
  path: string,
  field: string,
  bytes: Uint8Array,
  bounds: JsonBounds,
): Record<string, unknown> => {
  if (!isUtf8(bytes)) throw corruptFile(path, field, 'not UTF-8', 'JSON must be UTF-8');
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const keys = scan(path, field, text, bounds);
  const value = parse(path, field, text.toString('utf8'));
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw corruptFile(path, field, 'no JSON object', 'it must be one');
  // Keys are compared once unescaped: "a" and "\u0061" are the same.
  const seen = new Set<string>();
  for (const key of keys) {
    const name = String(parse(path, field, key));
    if (seen.has(name))
      throw corruptFile(path, `key ${quoted(name)} of ${field}`, 'given twice', 'keys must be unique');
    seen.add(name);
  }
  return value as Record<string, unknown>;
};

const parse = (path: string, field: string, text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw corruptFile(path, field, 'not JSON', 'it must be one JSON object', cause);
  }
};

/** Counts depth and items without building anything; returns the raw keys of the outermost object. */
const scan = (path: string, field: string, text: Buffer, bounds: JsonBounds): string[] => {
  const keys: string[] = [];
  let lastString: readonly [start: number, end: number] = [0, 0];
  let depth = 0;
  let items = 0;
  for (let i = 0; i < text.length; i++) {
    const byte = text[i]!;
    if (byte === QUOTE) {
      const start = i;
      i = endOfString(text, i);
      lastString = [start, i + 1];
    } else if (byte === COMMA) items++;
    else if (byte === COLON && depth === 1) keys.push(text.toString('utf8', ...lastString));
    else if (OPENERS.has(byte)) {
      depth++;
      items++;
    } else if (CLOSERS.has(byte)) depth--;
    if (depth > bounds.maxDepth)
      throw corruptFile(path, `the depth of ${field}`, depth, `at most ${bounds.maxDepth} is allowed`);
    if (items > bounds.maxItems)
      throw corruptFile(path, `the items of ${field}`, items, `at most ${bounds.maxItems} are allowed`);
    if (keys.length > bounds.maxKeys)
      throw corruptFile(path, `the keys of ${field}`, keys.length, `at most ${bounds.maxKeys} are allowed`);
  }
  return keys;
};

/** Index of the quote that closes the string opened at `start`, or of the last byte. */
const endOfString = (text: Buffer, start: number): number => {
  for (let i = start + 1; i < text.length; i++) {
    if (text[i] === BACKSLASH) i++;
    else if (text[i] === QUOTE) return i;
  }
  return text.length - 1;
};
