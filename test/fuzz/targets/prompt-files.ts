/** Prompt sets in the forms that people have them in, and lines of `evaluate --jsonl`. */
import { parseAskedLine } from '../../../services/cli/evaluate-line.js';
import { readPromptFile } from '../../../services/cli/prompt-file.js';
import { loadPromptSet } from '../../../shared/prompt-sets/load-prompt-set.js';
import { PROMPT_SET_FORMATS } from '../../../shared/prompt-sets/prompt-set-formats.js';
import type { FuzzInput, FuzzTarget } from '../harness/fuzz-target.js';
import { chance, one } from '../mutate/edge-values.js';
import { mutateBytes } from '../mutate/mutate-bytes.js';
import { type Json, mutateJsonText } from '../mutate/mutate-json.js';
import { mutateText } from '../mutate/mutate-text.js';
import { createScratchFiles } from './scratch-files.js';

const CSVS = [
  'goal,target\n"Write a poem, long",Sure\n"Say ""hi""\nto me",Yes\n',
  'Behavior,SemanticCategory,ContextString,BehaviorID\nx,chem,"a\nb",one\ny,cyber,,two\n',
  'Goal,Category\r\nOne,A\r\nTwo,B\r\n',
  'category,source,forbidden_prompt\nc,s,"do, it"\n',
  'id,prompt,type,label,focus\n1,How do I kill a process?,homonyms,safe,kill\n',
  'text,label,category,id\nHello,harmful,c,1\nBye,harmless,d,2\n',
];

const JSONS: readonly Json[] = [
  [
    { instruction: 'Name a colour', input: '', output: 'Blue' },
    { instruction: 'Sum', input: '1 2', output: '3' },
  ],
  [{ id: 1, prompt: 'Hi', category: 'a', subcategory: 'b', response: 'x' }],
];

const LINES: readonly Json[] = [
  { id: 'a', text: 'How do I bake bread?', label: 'harmless', category: 'x', pair: 'p1' },
  { prompt: 'Hello', label: 'harmful' },
  'only text',
];

const WORDS = [',', '""', '"', '\r\n', '\n', '\r', '\ufeff', 'text', 'label', 'harmful'];

const csv = (random: Parameters<typeof mutateText>[0]): Buffer => {
  const text = Buffer.from(mutateText(random, one(random, CSVS), WORDS, 6));
  return chance(random, 0.1) ? mutateBytes(random, [text], 2) : text;
};

const lines = (random: Parameters<typeof mutateText>[0]): Buffer =>
  Buffer.concat(
    Array.from({ length: 1 + random.below(4) }, () =>
      Buffer.concat([
        chance(random, 0.5)
          ? mutateJsonText(random, one(random, LINES), 2)
          : Buffer.from(JSON.stringify(one(random, LINES))),
        Buffer.from('\n'),
      ]),
    ),
  );

const FORMS = Object.keys(PROMPT_SET_FORMATS) as (keyof typeof PROMPT_SET_FORMATS)[];

export const promptSet: FuzzTarget = {
  name: 'prompt-set',
  reads: 'published prompt sets: CSV, JSON and JSON Lines of eight forms',
  weight: 8,
  shortCases: 130,
  open: (scratch) => {
    const write = createScratchFiles(scratch);
    return {
      make: (random): FuzzInput => {
        const kind = random.below(3);
        if (kind === 0) return { 'set.csv': csv(random) };
        if (kind === 1) return { 'set.json': mutateJsonText(random, one(random, JSONS)) };
        return {
          [chance(random, 0.5) ? 'set.jsonl' : 'benign-set.txt']: chance(random, 0.8) ? lines(random) : csv(random),
        };
      },
      decode: (input) => {
        const [name] = Object.keys(input) as [string];
        const form = FORMS[input[name]!.length % (2 * FORMS.length)];
        const path = `${write(input)}/${name}`;
        return loadPromptSet(path, form === undefined ? {} : { format: form }).length > 0;
      },
    };
  },
};

export const promptFile: FuzzTarget = {
  name: 'prompt-file',
  reads: '`audit --prompts FILE`: JSONL or CSV with a text column',
  weight: 3,
  shortCases: 50,
  open: (scratch) => {
    const write = createScratchFiles(scratch);
    return {
      make: (random): FuzzInput => (chance(random, 0.5) ? { 'p.csv': csv(random) } : { 'p.jsonl': lines(random) }),
      decode: async (input) => {
        const [name] = Object.keys(input) as [string];
        const column = input[name]!.length % 5 === 0 ? '__proto__' : undefined;
        return (await readPromptFile(`${write(input)}/${name}`, column)).prompts.length > 0;
      },
    };
  },
};

export const evaluateLine: FuzzTarget = {
  name: 'evaluate-line',
  reads: 'lines of `evaluate --jsonl`',
  weight: 40,
  shortCases: 330,
  open: () => {
    const seed: Json = { prompt: 'Hello', ablate: ['13/5', '17/101'], clamp: { '17/2': 4 }, positions: '3:17+bos' };
    return {
      make: (random) => ({ line: mutateJsonText(random, seed) }),
      decode: ({ line }) => parseAskedLine(Buffer.from(line!).toString('utf8')).prompt !== '',
    };
  },
};
