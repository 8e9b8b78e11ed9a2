import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseCsv } from '../../../services/cli/parse-csv.js';
import { chooseEmbeddedPairs, readPromptFile } from '../../../services/cli/prompt-file.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'refusalscope-test-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const fileOf = async (name: string, text: string) => {
  const path = join(folder, name);
  await writeFile(path, text);
  return path;
};

describe('CSV', () => {
  it('reads quotes, commas and line breaks inside fields, and both line endings', () => {
    expect(parseCsv('\uFEFFa,b\r\n"x, ""y""","1\n2"\r\n,\n')).toEqual([
      ['a', 'b'],
      ['x, "y"', '1\n2'],
      ['', ''],
    ]);
  });

  it('gives back any fields that were quoted by the rule', () => {
    const field = fc.string({ unit: 'binary' }).filter((text) => !text.includes('\uFEFF'));
    const rows = fc.array(fc.array(field, { minLength: 2, maxLength: 3 }), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(rows, (table) => {
        const text = table.map((row) => row.map((one) => `"${one.replaceAll('"', '""')}"`).join(',')).join('\r\n');
        expect(parseCsv(text)).toEqual(table);
      }),
    );
  });

  it.each([
    ['a\n"x', 'Line 2: a quote is opened and not closed.'],
    ['a\n"x"y', 'Line 2: a closing quote is followed by "y".'],
  ])('%j is refused with its line', (text, message) => {
    expect(() => parseCsv(text)).toThrow(expect.objectContaining({ code: 'REQUEST_INVALID', message }));
  });
});

describe('prompt files', () => {
  it('JSONL with labels keeps ids, labels and categories', async () => {
    const path = await fileOf(
      'p.jsonl',
      '{"id": "a", "text": "one", "label": "harmful", "category": "fraud"}\n\n{"prompt": "two", "label": "harmless"}\n"three"\n',
    );
    expect(await readPromptFile(path)).toEqual({
      added: 0,
      prompts: [
        { id: 'a', text: 'one', label: 'harmful', category: 'fraud' },
        { id: 'row-2', text: 'two', label: 'harmless', category: '' },
        { id: 'row-3', text: 'three', label: 'harmful', category: '' },
      ],
    });
  });

  it('CSV takes a column by name, in any case', async () => {
    const path = await fileOf('p.csv', 'Goal,Label\n"Do, this",harmful\nDo that,harmless\n');
    const { prompts } = await readPromptFile(path, 'goal');
    expect(prompts.map(({ text, label }) => [text, label])).toEqual([
      ['Do, this', 'harmful'],
      ['Do that', 'harmless'],
    ]);
  });

  it('a file without harmless prompts gets the embedded ones, without clashing ids', async () => {
    const path = await fileOf('p.jsonl', '{"text": "one"}\n{"id": "p001-harmless", "text": "two"}');
    const { prompts, added } = await readPromptFile(path);
    expect(added).toBe(64);
    expect(prompts.length).toBe(66);
    expect(new Set(prompts.map(({ id }) => id)).size).toBe(66);
  });

  it.each([
    ['p.jsonl', '{"text": "x"}\n[1]', 'REQUEST_INVALID', 'line 2 is no JSON object'],
    ['p.jsonl', '{"words": "x"}', 'REQUEST_INVALID', 'row 1 has no text: one of text, prompt'],
    ['p.jsonl', '{"text": "  "}', 'PROMPT_EMPTY', 'row 1 is empty'],
    ['p.jsonl', '{"text": "x", "label": "bad"}', 'REQUEST_INVALID', 'has the label "bad"; harmful or harmless'],
    ['p.jsonl', '', 'REQUEST_INVALID', 'holds no prompts'],
    ['p.csv', 'text,label\nx\n', 'REQUEST_INVALID', 'row 1 has 1 fields; the header names 2'],
  ])('%s with %j is refused', async (name, text, code, message) => {
    await expect(readPromptFile(await fileOf(name, text))).rejects.toMatchObject({
      code,
      message: expect.stringContaining(message),
    });
  });

  it('a file that is not there is FILE_NOT_FOUND with its path', async () => {
    await expect(readPromptFile(join(folder, 'none.jsonl'))).rejects.toMatchObject({
      code: 'FILE_NOT_FOUND',
      message: `${join(folder, 'none.jsonl')} cannot be read.`,
    });
  });

  it('a handful of embedded pairs has both sides of each and spreads over the categories', async () => {
    const prompts = await chooseEmbeddedPairs(6);
    expect(prompts.length).toBe(12);
    expect(prompts.filter(({ label }) => label === 'harmful').length).toBe(6);
    expect(new Set(prompts.map(({ category }) => category)).size).toBe(6);
  });
});
