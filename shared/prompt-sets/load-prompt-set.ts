/**
 * Reads a prompt set from a file in one of its published forms (CSV, JSON, JSON Lines). Owns the bounds and the checks that keep a
 * wrong file from becoming a plausible audit: empty texts, ids given twice, a form that was named but is another one.
 */
import { readFileSync, statSync } from 'node:fs';
import { basename, extname } from 'node:path';
import { fault } from '../errors/fault.js';
import { CsvSyntaxError, parseCsv } from './parse-csv.js';
import {
  PROMPT_SET_FORMATS,
  type PromptLabel,
  type PromptRow,
  type PromptSetFormat,
  type PromptSetFormatName,
  sniffFormat,
} from './prompt-set-formats.js';

export interface LoadedPrompt {
  /** From the file, else the file's name and the row's number. */
  readonly id: string;
  readonly text: string;
  readonly label?: PromptLabel;
  readonly category?: string;
  /** Prompts that belong together (the harmful and harmless form of one request) share this. */
  readonly pair?: string;
}

export interface LoadPromptSetOptions {
  /** Default: told from the columns of the first row. */
  readonly format?: PromptSetFormatName;
  /** Default: what the form says. */
  readonly label?: PromptLabel;
  /** At most this many prompts, from the start of the file. */
  readonly limit?: number;
}

/** Alpaca, the largest set in scope, is 23 MB with 52,002 rows. */
const MAX_BYTES = 128 << 20;
const MAX_ROWS = 200_000;
/** Far more than any context in scope holds. */
const MAX_TEXT_CHARACTERS = 200_000;

/** Faults: FILE_NOT_FOUND, REQUEST_INVALID (not of that form, an empty text, an id twice), REQUEST_TOO_LARGE. */
export function loadPromptSet(path: string, options: LoadPromptSetOptions = {}): LoadedPrompt[] {
  const { limit = MAX_ROWS } = options;
  if (!Number.isInteger(limit) || limit < 1)
    throw fault('REQUEST_INVALID', `The limit is ${limit}; it must be 1 or more.`);
  const rows = parseRows(path, readBounded(path));
  if (rows.length === 0)
    throw fault('REQUEST_INVALID', `${path} has no prompts. Give a CSV, JSON or JSON Lines file with rows.`);
  if (rows.length > MAX_ROWS) {
    throw fault('REQUEST_TOO_LARGE', `${path} has ${rows.length} rows; at most ${MAX_ROWS} are read. Cut the file.`);
  }
  const format = chooseFormat(path, rows[0], options.format);
  const name = basename(path);
  const prompts = rows.slice(0, limit).map((row, i) => toPrompt(path, format.read(row, name), i + 1, options.label));
  assertUniqueIds(path, prompts);
  return prompts;
}

function readBounded(path: string): string {
  let size: number;
  try {
    const status = statSync(path);
    if (!status.isFile()) throw new Error('not a regular file');
    size = status.size;
    if (size <= MAX_BYTES) return readFileSync(path, 'utf8');
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw fault('FILE_NOT_FOUND', `${path} cannot be read (${reason}). Give the path of a prompt set.`, { cause });
  }
  throw fault('REQUEST_TOO_LARGE', `${path} has ${size} bytes; prompt sets of at most ${MAX_BYTES} are read.`);
}

type Row = Readonly<Record<string, unknown>>;

function parseRows(path: string, text: string): Row[] {
  const extension = extname(path).toLowerCase();
  try {
    if (extension === '.csv') return parseCsv(text);
    const first = text.trimStart()[0];
    if (extension === '.json' || first === '[') return jsonRows(JSON.parse(text));
    if (first === '{') return jsonLines(text);
    return parseCsv(text);
  } catch (cause) {
    if (!(cause instanceof SyntaxError) && !(cause instanceof CsvSyntaxError)) throw cause;
    throw fault('REQUEST_INVALID', `${path} cannot be parsed: ${cause.message}.`, { cause });
  }
}

function jsonRows(value: unknown): Row[] {
  if (Array.isArray(value) && value.every(isRow)) return value;
  throw new SyntaxError('the JSON is not a list of objects');
}

const jsonLines = (text: string): Row[] =>
  text.split('\n').flatMap((line, i) => {
    if (line.trim() === '') return [];
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      throw new SyntaxError(`line ${i + 1} is not JSON`);
    }
    if (!isRow(value)) throw new SyntaxError(`line ${i + 1} is not an object`);
    return [value];
  });

const isRow = (value: unknown): value is Row => typeof value === 'object' && value !== null && !Array.isArray(value);

function chooseFormat(path: string, row: Row, wanted: PromptSetFormatName | undefined): PromptSetFormat {
  if (wanted === undefined) return PROMPT_SET_FORMATS[sniffFormat(row)];
  const format: PromptSetFormat = PROMPT_SET_FORMATS[wanted];
  const missing = format.columns.find((column) => !(column in row));
  if (missing === undefined) return format;
  const given = Object.keys(row).slice(0, 12).join(', ').slice(0, 200);
  throw fault('REQUEST_INVALID', `${path} is not a ${wanted} file: it has no column "${missing}", but ${given}.`);
}

function toPrompt(path: string, row: PromptRow, number: number, label: PromptLabel | undefined): LoadedPrompt {
  const text = typeof row.text === 'string' ? row.text.trim() : '';
  if (text === '') {
    throw fault(
      'REQUEST_INVALID',
      `${path}: row ${number} has no prompt text. A column "text" or "prompt" must hold it.`,
    );
  }
  if (text.length > MAX_TEXT_CHARACTERS) {
    throw fault(
      'REQUEST_TOO_LARGE',
      `${path}: row ${number} has ${text.length} characters; at most ${MAX_TEXT_CHARACTERS} are read.`,
    );
  }
  const ownId = asText(row.id) ?? `${basename(path, extname(path))}-${number}`;
  return {
    id: ownId,
    text,
    label: label ?? row.label,
    category: asText(row.category),
    pair: asText(row.pair),
  };
}

const asText = (value: unknown): string | undefined => {
  if (typeof value === 'number' && Number.isFinite(value)) return String(value);
  return typeof value === 'string' && value.trim() !== '' ? value.trim() : undefined;
};

function assertUniqueIds(path: string, prompts: readonly LoadedPrompt[]): void {
  const seen = new Set<string>();
  for (const { id } of prompts) {
    if (seen.has(id))
      throw fault('REQUEST_INVALID', `${path}: two rows have the id ${JSON.stringify(id.slice(0, 80))}.`);
    seen.add(id);
  }
}
