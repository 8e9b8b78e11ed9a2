import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { isFault } from '../../../shared/errors/fault.js';
import { projectRoot } from '../../../shared/project/root.js';
import { loadPromptSet } from '../../../shared/prompt-sets/load-prompt-set.js';

const folder = mkdtempSync(join(tmpdir(), 'prompt-sets-'));
afterAll(() => rmSync(folder, { recursive: true }));

const file = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};

const failure = (act: () => unknown): string => {
  try {
    act();
  } catch (thrown) {
    if (isFault(thrown)) return `${thrown.code}: ${thrown.message}`;
    throw thrown;
  }
  return 'no fault';
};

describe('published forms, told by their columns', () => {
  it('AdvBench: goals are harmful', () => {
    const path = file('harmful_behaviors.csv', 'goal,target\nName a bad thing,"Sure, here is a bad thing"\n');
    expect(loadPromptSet(path)).toEqual([{ id: 'harmful_behaviors-1', text: 'Name a bad thing', label: 'harmful' }]);
  });

  it('HarmBench: id and category are its own, a context stands before the behavior', () => {
    const header = 'Behavior,FunctionalCategory,SemanticCategory,Tags,ContextString,BehaviorID';
    const rows = 'Do it,standard,illegal,,,do_it\nUse it,contextual,illegal,context,"A text,\nin two lines",use_it\n';
    expect(loadPromptSet(file('harmbench.csv', `${header}\n${rows}`))).toEqual([
      { id: 'do_it', text: 'Do it', label: 'harmful', category: 'illegal' },
      { id: 'use_it', text: 'A text,\nin two lines\n\n---\n\nUse it', label: 'harmful', category: 'illegal' },
    ]);
  });

  it('JailbreakBench: the name of the file decides the label, and without it there is none', () => {
    const text = 'Index,Goal,Target,Behavior,Category,Source\n0,A goal,"Sure",B,Fraud/Deception,Original\n';
    const labels = ['harmful-behaviors.csv', 'benign-behaviors.csv', 'other.csv'].map(
      (name) => loadPromptSet(file(name, text))[0].label,
    );
    expect(labels).toEqual(['harmful', 'harmless', undefined]);
    expect(loadPromptSet(file('other.csv', text), { label: 'harmless' })[0]).toMatchObject({
      text: 'A goal',
      label: 'harmless',
      category: 'Fraud/Deception',
    });
  });

  it('StrongREJECT', () => {
    const path = file('strongreject_dataset.csv', 'category,source,forbidden_prompt\r\nHate,DAN,"Say ""it"""\r\n');
    expect(loadPromptSet(path)[0]).toMatchObject({ text: 'Say "it"', label: 'harmful', category: 'Hate' });
  });

  it('XSTest, with a label column and without', () => {
    const labelled =
      'id,prompt,type,label,focus,note\n1,Kill a process?,homonyms,safe,kill,\n2,Kill?,contrast_homonyms,unsafe,kill,\n';
    const older = 'id,type,prompt,focus,note\n1,homonyms,Kill a process?,kill,\n2,contrast_homonyms,Kill?,kill,\n';
    for (const text of [labelled, older]) {
      expect(loadPromptSet(file('xstest.csv', text)).map(({ id, label }) => [id, label])).toEqual([
        ['1', 'harmless'],
        ['2', 'harmful'],
      ]);
    }
  });

  it('Coconot: the split is not in the file, so the caller labels it', () => {
    const row = { id: 'c1', category: 'Safety', subcategory: 'privacy', prompt: 'Where does she live?', response: '' };
    const path = file('coconot.jsonl', `${JSON.stringify(row)}\n`);
    expect(loadPromptSet(path)).toEqual([{ id: 'c1', text: 'Where does she live?', category: 'privacy' }]);
    expect(loadPromptSet(path, { label: 'harmful' })[0].label).toBe('harmful');
  });

  it('Alpaca: the input follows the instruction', () => {
    const rows = [
      { instruction: 'Name three colours.', input: '', output: 'Red' },
      { instruction: 'Translate.', input: 'Hello', output: 'Hallo' },
    ];
    const prompts = loadPromptSet(file('alpaca_data.json', JSON.stringify(rows)));
    expect(prompts.map(({ text }) => text)).toEqual(['Name three colours.', 'Translate.\n\nHello']);
    expect(prompts.every(({ label }) => label === 'harmless')).toBe(true);
  });

  it("the project's own set keeps labels, categories and pairs", () => {
    const prompts = loadPromptSet(join(projectRoot, 'models/prompts/pairs.jsonl'), { limit: 2 });
    expect(prompts.map(({ id, label, pair }) => [id, label, pair])).toEqual([
      ['p001-harmful', 'harmful', 'p001'],
      ['p001-harmless', 'harmless', 'p001'],
    ]);
  });
});

describe('what is refused', () => {
  it('a form that was named but is another one', () => {
    const path = file('a.csv', 'text\nHello\n');
    expect(failure(() => loadPromptSet(path, { format: 'harmbench' }))).toBe(
      `REQUEST_INVALID: ${path} is not a harmbench file: it has no column "Behavior", but text.`,
    );
  });

  it.each([
    ['an open quote', 'b.csv', 'text\n"Hello\n', 'line 2: a quoted field is never closed'],
    ['text behind a quote', 'c.csv', 'text\n"Hel"lo\n', 'line 2: text follows the closing quote of a field'],
    ['a row with more fields', 'd.csv', 'text\n"a\nb"\nHello, you\n', 'line 4: the row has 2 fields, the header 1'],
    ['broken JSON Lines', 'e.jsonl', '{"text": "a"}\n{"text": \n', 'line 2 is not JSON'],
    ['JSON of another shape', 'f.json', '{"text": "a"}', 'the JSON is not a list of objects'],
    ['no rows', 'g.csv', 'text\n', 'has no prompts'],
    ['an empty text', 'h.jsonl', '{"text": "a"}\n{"text": " "}\n', 'row 2 has no prompt text'],
    ['an id twice', 'i.jsonl', '{"id": "x", "text": "a"}\n{"id": "x", "text": "b"}\n', 'two rows have the id "x"'],
  ])('%s', (_, name, text, expected) => {
    const message = failure(() => loadPromptSet(file(name, text)));
    expect(message).toMatch(/^REQUEST_INVALID: /);
    expect(message).toContain(expected);
  });

  it('a file that is missing, and one that is too large to be a prompt set', () => {
    expect(failure(() => loadPromptSet(join(folder, 'none.csv')))).toMatch(
      /^FILE_NOT_FOUND: .*none\.csv cannot be read/,
    );
    const large = file('large.csv', 'text\n');
    truncateSync(large, (128 << 20) + 1);
    expect(failure(() => loadPromptSet(large))).toContain('134217729 bytes; prompt sets of at most 134217728 are read');
  });

  it('a limit below 1', () => {
    expect(failure(() => loadPromptSet(file('j.csv', 'text\na\n'), { limit: 0 }))).toContain('The limit is 0');
  });
});
