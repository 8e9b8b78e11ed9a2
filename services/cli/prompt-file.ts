/**
 * Prompt sets from JSONL or CSV. A row needs a text; label, category and id are optional. Rows without a label count as harmful, and a
 * file without harmless prompts gets those of the embedded set, because a direction needs both.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text as readAll } from 'node:stream/consumers';
import { fault } from '../../shared/errors/fault.js';
import { projectRoot } from '../../shared/project/root.js';
import { parseCsv } from './parse-csv.js';

export interface CliPrompt {
  readonly id: string;
  readonly text: string;
  readonly label: 'harmful' | 'harmless';
  readonly category: string;
}

export interface PromptSet {
  readonly prompts: readonly CliPrompt[];
  /** Harmless prompts that were added from the embedded set. */
  readonly added: number;
}

const EMBEDDED_PAIRS = join(projectRoot, 'models', 'prompts', 'pairs.jsonl');
// Names under which data sets hold the text.
const TEXT_COLUMNS = ['text', 'prompt', 'instruction', 'goal', 'behavior', 'question'];

type Row = Readonly<Record<string, unknown>>;

export const readPromptFile = async (path: string, textColumn?: string): Promise<PromptSet> => {
  const rows = await readRows(path);
  if (rows.length === 0) throw fault('REQUEST_INVALID', `${path} holds no prompts.`);
  const prompts = rows.map((row, i) => toPrompt(row, i, path, textColumn));
  if (prompts.some((prompt) => prompt.label === 'harmless')) return { prompts, added: 0 };
  const harmless = (await readEmbeddedPrompts()).filter((prompt) => prompt.label === 'harmless');
  const taken = new Set(prompts.map((prompt) => prompt.id));
  const added = harmless.map((prompt) => (taken.has(prompt.id) ? { ...prompt, id: `embedded-${prompt.id}` } : prompt));
  return { prompts: [...prompts, ...added], added: added.length };
};

export const readEmbeddedPrompts = async (): Promise<CliPrompt[]> =>
  (await readRows(EMBEDDED_PAIRS)).map((row, i) => toPrompt(row, i, EMBEDDED_PAIRS));

/** `pairs` pairs of the embedded set, spread over its categories, in the order of the file. */
export const chooseEmbeddedPairs = async (pairs: number): Promise<CliPrompt[]> => {
  const prompts = await readEmbeddedPrompts();
  const harmful = prompts.filter((prompt) => prompt.label === 'harmful');
  const turns = new Map<string, number>();
  const ranked = harmful.map((prompt) => {
    const turn = turns.get(prompt.category) ?? 0;
    turns.set(prompt.category, turn + 1);
    return { prompt, turn };
  });
  const chosen = ranked.sort((a, b) => a.turn - b.turn).slice(0, pairs);
  const names = new Set(chosen.map(({ prompt }) => prompt.id.replace('-harmful', '')));
  return prompts.filter((prompt) => names.has(prompt.id.replace(/-harm(ful|less)$/, '')));
};

const readRows = async (path: string): Promise<Row[]> => {
  const text = await readText(path);
  return path.toLowerCase().endsWith('.csv') ? fromCsv(text, path) : fromJsonl(text, path);
};

/** Reads a file, or standard input for "-". */
export const readText = async (path: string): Promise<string> => {
  try {
    return path === '-' ? await readAll(process.stdin) : await readFile(path, 'utf8');
  } catch (cause) {
    throw fault('FILE_NOT_FOUND', `${path} cannot be read.`, { cause });
  }
};

const fromCsv = (text: string, path: string): Row[] => {
  const [header, ...rows] = parseCsv(text);
  if (header === undefined) throw fault('REQUEST_INVALID', `${path} is empty; the first line must name the columns.`);
  return rows.map((row, i) => {
    if (row.length !== header.length) {
      throw fault(
        'REQUEST_INVALID',
        `${path}, row ${i + 1} has ${row.length} fields; the header names ${header.length}.`,
      );
    }
    return Object.fromEntries(header.map((name, column) => [name.trim().toLowerCase(), row[column]]));
  });
};

const fromJsonl = (text: string, path: string): Row[] =>
  text.split(/\r?\n/).flatMap((line, i) => {
    if (line.trim() === '') return [];
    try {
      const value: unknown = JSON.parse(line);
      if (typeof value === 'string') return [{ text: value }];
      if (typeof value === 'object' && value !== null && !Array.isArray(value)) return [value as Row];
    } catch {
      // Falls through to the same text: what it is not matters less than where it is.
    }
    throw fault(
      'REQUEST_INVALID',
      `${path}, line ${i + 1} is no JSON object. One object a line, such as {"text": "..."}.`,
    );
  });

const toPrompt = (row: Row, index: number, path: string, textColumn?: string): CliPrompt => {
  const where = `${path}, row ${index + 1}`;
  const column = textColumn?.toLowerCase() ?? TEXT_COLUMNS.find((name) => typeof row[name] === 'string');
  const text = column === undefined ? undefined : row[column];
  if (typeof text !== 'string') {
    const wanted = textColumn === undefined ? `one of ${TEXT_COLUMNS.join(', ')}` : `a column ${textColumn}`;
    throw fault('REQUEST_INVALID', `${where} has no text: ${wanted} is needed.`);
  }
  if (text.trim() === '') throw fault('PROMPT_EMPTY', `${where} is empty.`);
  const label = row.label === undefined || row.label === '' ? 'harmful' : row.label;
  if (label !== 'harmful' && label !== 'harmless') {
    throw fault('REQUEST_INVALID', `${where} has the label ${JSON.stringify(label)}; harmful or harmless is taken.`);
  }
  const id = row.id === undefined || row.id === '' ? `row-${index + 1}` : String(row.id);
  return { id, text, label, category: typeof row.category === 'string' ? row.category : '' };
};
