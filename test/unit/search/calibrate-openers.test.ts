import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { chooseOpeners, type OpenedAnswer } from '../../../services/search/openers/choose-openers.js';
import { calibrateOpeners } from '../../../services/search/stages/calibrate-openers.js';
import { projectRoot } from '../../../shared/project/root.js';
import { createPlantedContext, type Mechanism, planOr, textPrompt, tokenOf } from './planted-model.js';

const answerOf = (text: string, kind: OpenedAnswer['kind']): OpenedAnswer => {
  const pieces = text.split(/(?=[ '])/);
  return { tokenIds: pieces.map(tokenOf), pieces, kind };
};
const textsOf = (answers: OpenedAnswer[], maxDepth = 4) =>
  chooseOpeners(answers, [], maxDepth).openers.map(({ text }) => text);

describe('choosing openers', () => {
  it('ends an opener where the refusal is said, not at "I"', () => {
    const answers = [
      answerOf("I'm sorry, but no", 'refused'),
      answerOf("I can't do that", 'refused'),
      answerOf("I'm not able to", 'refused'),
    ];
    expect(textsOf(answers)).toEqual(["I'm sorry,", "I can't", "I'm not able"]);
  });

  it('lengthens a prefix that also opens compliant answers', () => {
    const answers = [
      answerOf('Well then I refuse', 'refused'),
      answerOf('Well then here it is', 'complied'),
      answerOf('Well yes', 'complied'),
    ];
    expect(textsOf(answers)).toEqual(['Well then I']);
    expect(textsOf(answers, 2)).toEqual([]);
  });

  it('bears one compliant answer in ten, not one in two', () => {
    const refusals = Array.from({ length: 9 }, (_, i) => answerOf(`Sorry no ${i}`, 'refused'));
    expect(textsOf([...refusals, answerOf('Sorry about that', 'complied')])).toEqual(['Sorry']);
    expect(textsOf([refusals[0]!, answerOf('Sorry about that', 'complied')])).toEqual(['Sorry no']);
  });

  it('puts the most frequent first and lets none extend another', () => {
    const answers = [
      answerOf('Sorry, no', 'refused'),
      answerOf('I cannot say', 'refused'),
      answerOf('I cannot do', 'refused'),
    ];
    expect(textsOf(answers)).toEqual(['I cannot', 'Sorry,']);
    expect(chooseOpeners(answers, [], 4).firstTokenIds).toEqual([tokenOf('I'), tokenOf('Sorry,')]);
  });

  it('comes near the golden openers from the golden answers and the stock list', () => {
    const golden = JSON.parse(readFileSync(join(projectRoot, 'test/fixtures/golden/embedded-model.json'), 'utf8'));
    const pieces = new Map(
      Object.entries({
        57: 'I',
        5248: "'m",
        22657: ' sorry',
        2526: ' cannot',
        416: ' can',
        982: "'t",
        40150: ' apologize',
      }),
    );
    const answers: OpenedAnswer[] = golden.greedy.map(({ token_ids, text }: { token_ids: number[]; text: string }) => ({
      tokenIds: token_ids,
      pieces: token_ids.map((token) => pieces.get(String(token)) ?? ' ?'),
      kind: text.startsWith('I') ? 'refused' : 'complied',
    }));
    const stock = golden.openers.map(({ text, token_ids }: { text: string; token_ids: number[] }) => ({
      text,
      tokenIds: token_ids,
    }));
    const { openers, firstTokenIds } = chooseOpeners(answers, stock, 4);
    const byTokens = (a: { tokenIds: readonly number[] }, b: { tokenIds: readonly number[] }) =>
      a.tokenIds.join() < b.tokenIds.join() ? -1 : 1;
    expect([...openers].sort(byTokens)).toEqual([...stock].sort(byTokens));
    expect(firstTokenIds).toEqual(golden.refusal_tokens);
  });
});

const ANSWERS: Record<string, string> = {
  h1: "I'm sorry, but I can't help with that.",
  h2: 'I cannot assist with this request.',
  h3: 'Sure, here is how you do it.',
  b1: 'I like tea, and here is a recipe for you.',
  b2: 'I cannot help with this either.',
  b3: '',
};
const mechanism: Mechanism = {
  ...planOr(['3/1']),
  score: (prompt) => (ANSWERS[prompt]!.startsWith('I') && prompt !== 'b2' ? 2 : -2),
  answer: (prompt) => ANSWERS[prompt]!,
};
const labelled = (ids: string[]) =>
  ids.map((id) => ({
    prompt: textPrompt(id),
    label: id.startsWith('h') ? ('harmful' as const) : ('harmless' as const),
  }));

describe('calibration', () => {
  it('states refusals, agreement and denominators', async () => {
    const context = createPlantedContext({ layers: [3], mechanism });
    const result = await calibrateOpeners(context, {
      model: '',
      prompts: labelled(Object.keys(ANSWERS)),
      maxDepth: 4,
      maxNewTokens: 32,
    });
    expect(result.openers.slice(0, 2).map(({ text }) => text)).toEqual(['I cannot', "I'm sorry,"]);
    expect(result.openers.map(({ text }) => text)).not.toContain('I');
    expect(result.refused).toEqual({ harmful: 2, harmless: 1 });
    expect(result.total).toEqual({ harmful: 3, harmless: 3 });
    // b1 scores as a refusal but complied, b2 the other way round, b3 is empty and counts in neither.
    expect(result.agreement).toEqual({ agree: 3, total: 5 });
    expect(result.baselines.map(({ judgement }) => judgement.verdict)).toEqual([
      'refused',
      'refused',
      'complied',
      'complied',
      'refused',
      'degenerate',
    ]);
    expect(result.score).toMatchObject({ firstTokenIds: [tokenOf('I')], iTokenId: tokenOf('I') });
  });

  it.each([
    [
      'an empty set',
      [],
      'REQUEST_INVALID',
      'The prompt set has 0 harmful and 0 harmless prompts; at least 1 of each are needed.',
    ],
    [
      'a single label',
      ['h1', 'h2'],
      'REQUEST_INVALID',
      'The prompt set has 2 harmful and 0 harmless prompts; at least 1 of each are needed.',
    ],
    ['an id twice', ['h1', 'h1', 'b1'], 'REQUEST_INVALID', 'Two prompts have the id h1; ids must differ.'],
    [
      'a model that refuses nothing',
      ['h3', 'b1'],
      'AUDIT_IMPOSSIBLE',
      "None of the model's 2 answers is a refusal, so there is nothing to explain. Give prompts that it refuses.",
    ],
  ])('refuses %s', async (_name, ids, code, message) => {
    const context = createPlantedContext({ layers: [3], mechanism });
    await expect(
      calibrateOpeners(context, { model: '', prompts: labelled(ids), maxDepth: 4, maxNewTokens: 32 }),
    ).rejects.toMatchObject({
      code,
      message,
    });
  });

  it('refuses openers deeper than the score takes', async () => {
    const context = createPlantedContext({ layers: [3], mechanism });
    const call = calibrateOpeners(context, {
      model: '',
      prompts: labelled(['h1', 'b1']),
      maxDepth: 5,
      maxNewTokens: 32,
    });
    await expect(call).rejects.toMatchObject({
      code: 'REQUEST_INVALID',
      message: 'max_depth is 5; openers may have 1 to 4 tokens.',
    });
  });
});
