import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { projectRoot } from '../../shared/project/root.js';

interface GoldenEdit {
  readonly prompt: string;
  readonly kind: string;
  readonly positions: string;
  readonly features: readonly string[];
  readonly value?: number;
  readonly refusal_score: number;
  readonly first_token_score: number;
  readonly p_I: number;
}

const LIMIT_MS = 5 * 60_000;
// The bound of the project's accuracy promise; the float32 engine is a hundred times better.
const TOLERANCE = 0.001;

const golden = JSON.parse(readFileSync(join(projectRoot, 'test/fixtures/golden/embedded-model.json'), 'utf8')) as {
  clean: { id: string; refusal_score: number; first_token_score: number; p_I: number }[];
  edits: GoldenEdit[];
};
const texts = new Map(
  readFileSync(join(projectRoot, 'models/prompts/pairs.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { id: string; text: string })
    .map(({ id, text }) => [id, text]),
);
const POSITIONS: Record<string, string> = { instruction: 'instruction', all_but_first: 'all' };

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'refusalscope-e2e-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const cli = async (...args: string[]) => {
  try {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [
      join(projectRoot, 'dist/services/cli/main.js'),
      ...args,
    ]);
    return { code: 0, stdout, stderr };
  } catch (thrown) {
    return thrown as { code: number; stdout: string; stderr: string };
  }
};
const linesOf = (stdout: string) =>
  stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

describe('evaluate', () => {
  it(
    'answers a file line by line, in order, equal to PyTorch on ablations and clamps',
    async () => {
      const edits = golden.edits.filter(({ kind }) => kind === 'sae_ablation' || kind === 'sae_clamp');
      const asked = [
        ...golden.clean.map(({ id }) => ({ prompt: texts.get(id) })),
        ...edits.map(({ prompt, kind, positions, features, value }) => ({
          prompt: texts.get(prompt),
          positions: POSITIONS[positions],
          ...(kind === 'sae_ablation'
            ? { ablate: features }
            : { clamp: Object.fromEntries(features.map((name) => [name, value])) }),
        })),
      ];
      const path = join(folder, 'asked.jsonl');
      await writeFile(path, asked.map((line) => `${JSON.stringify(line)}\n`).join(''));
      const { code, stdout } = await cli('evaluate', '--jsonl', path);
      expect(code).toBe(0);
      const answers = linesOf(stdout);
      const wanted = [...golden.clean, ...edits];
      expect(answers.length).toBe(wanted.length);
      const off = wanted.flatMap((want, i) =>
        (['refusal_score', 'first_token_score', 'p_I'] as const)
          .filter((name) => !(Math.abs(answers[i][name] - want[name]) < TOLERANCE))
          .map((name) => `line ${i + 1}: ${name} ${answers[i][name]} instead of ${want[name]}`),
      );
      expect(off).toEqual([]);
      expect(
        answers.slice(golden.clean.length).filter(({ acted, proof }) => acted !== true || proof.length === 0),
      ).toEqual([]);
    },
    LIMIT_MS,
  );

  it(
    'a bad line has its error in its place and the others are answered; exit code 2',
    async () => {
      const path = join(folder, 'bad.jsonl');
      const lines = [
        '{"prompt": "Hello"}',
        '{"prompt": "Hello", "ablate": ["99/1"]}',
        'nonsense',
        '{"prompt": "Hello", "ablate": ["13/99999"]}',
        '{"prompt": "Hello"}',
      ];
      await writeFile(path, lines.join('\n'));
      const { code, stdout } = await cli('evaluate', '--jsonl', path);
      const answers = linesOf(stdout);
      expect(code).toBe(2);
      expect(answers.map((answer) => answer.error?.code ?? 'ok')).toEqual([
        'ok',
        'SAE_UNKNOWN',
        'REQUEST_INVALID',
        'FEATURE_UNKNOWN',
        'ok',
      ]);
      expect(answers[4].refusal_score).toBe(answers[0].refusal_score);
    },
    LIMIT_MS,
  );

  it.each([
    [['--prompt', ''], 2, 'PROMPT_EMPTY: The prompt is empty.'],
    [['--prompt', 'x', '--positions', 'somewhere'], 2, 'REQUEST_INVALID: "somewhere" names no positions'],
    [['--prompt', 'x', '--ablate', '13-5'], 2, 'REQUEST_INVALID: "13-5" is not a feature'],
    [['--prompt', 'x', '--clamp', '13/5=NaN'], 2, 'NOT_FINITE: The clamp value of 13/5 is NaN'],
    [[], 2, 'CONFIG_INVALID: Give either --prompt or --jsonl.'],
    [['--jsonl', '/nowhere.jsonl'], 3, 'FILE_NOT_FOUND: /nowhere.jsonl cannot be read.'],
    [['--nonsense'], 2, "unknown option '--nonsense'"],
  ])('%j ends at once with code %i', async (args, code, text) => {
    const result = await cli('evaluate', ...args);
    expect(result.code).toBe(code);
    expect(result.stderr).toContain(text);
    expect(result.stdout).toBe('');
  });
});
