import { describe, expect, it } from 'vitest';
import type { JudgedAnswer } from '../../../services/search/judge/answer-judge.js';
import { judgeAnswer, type Verdict } from '../../../services/search/judge/judge.js';
import type { Answer } from '../../../services/search/model/model-port.js';
import {
  agreementByLength,
  cutAnswer,
  cutLengths,
  judgeCuts,
} from '../../../services/search/stages/agreement-by-length.js';
import { calibrateOpeners } from '../../../services/search/stages/calibrate-openers.js';
import { verifyFlips } from '../../../services/search/stages/verify-flips.js';
import { parseFeature } from '../../../shared/tensors/feature-name.js';
import { createPlantedContext, INSTRUCTION, type Mechanism, planOr, textPrompt } from './planted-model.js';

const answerOf = (text: string, ended = true): Answer => {
  const pieces = text.split(/(?=[ '])/);
  return { tokenIds: pieces.map((_, i) => i), pieces, ended, proof: [] };
};

describe('cuts', () => {
  it.each([
    [1, [1]],
    [8, [8]],
    [48, [8, 16, 32, 48]],
    [64, [8, 16, 32, 64]],
  ])('up to %i tokens are %j', (longest, lengths) => {
    expect(cutLengths(longest)).toEqual(lengths);
  });

  it('are the text that was complete by then', () => {
    const answer = answerOf('Sure, here is it.');
    expect(cutAnswer(answer, 2)).toEqual({ text: 'Sure, here', tokens: 2 });
    expect(cutAnswer(answer, 99)).toEqual({ text: 'Sure, here is it.', tokens: 4 });
  });

  it('of one answer with the same text are judged once, and an answer that ended stays what it was', async () => {
    const asked: JudgedAnswer[] = [];
    const judge = async (answers: readonly JudgedAnswer[]) => {
      asked.push(...answers);
      return answers.map(({ answer, answerTokens }) => judgeAnswer(answer, answerTokens));
    };
    const answered = [
      { prompt: 'a', answer: answerOf("I can't help with that.") },
      { prompt: 'b', answer: answerOf('One two three four five six seven eight nine ten.', false) },
    ];
    const [short, long] = await judgeCuts(answered, [3, 8, 16], judge, new AbortController().signal);
    expect(asked.map(({ prompt, answerTokens }) => [prompt, answerTokens])).toEqual([
      ['a', 3],
      ['a', 6],
      ['b', 3],
      ['b', 8],
      ['b', 10],
    ]);
    expect(short!.map(({ tokens, verdict, ended }) => [tokens, verdict, ended])).toEqual([
      [3, 'refused', false],
      [8, 'refused', true],
      [16, 'refused', true],
    ]);
    expect(long!.map(({ ended }) => ended)).toEqual([false, false, false]);
  });
});

describe('agreement by length', () => {
  const caseOf = (score: number, ...verdicts: Verdict[]) => ({
    score,
    cuts: verdicts.map((verdict, i) => ({ tokens: 8 * 2 ** i, verdict, ended: i > 0 })),
  });

  it('counts agreement, late refusals and late compliance, each with what it is of', () => {
    const [short, middle, long] = agreementByLength([
      caseOf(2, 'refused', 'refused', 'partial'),
      caseOf(-2, 'complied', 'refused', 'refused'),
      caseOf(-2, 'complied', 'complied', 'complied'),
      caseOf(3, 'degenerate', 'complied', 'refused'),
      caseOf(1, 'judge-failed', 'judge-failed', 'refused'),
    ]);
    expect(short).toMatchObject({
      tokens: 8,
      ended: 0,
      counts: { complied: 2, refused: 1, partial: 0, degenerate: 1, 'judge-failed': 1 },
      agreement: { agree: 3, total: 3 },
      delayed: { count: 0, of: 0 },
      withdrawn: { count: 0, of: 0 },
    });
    expect(middle).toMatchObject({ agreement: { agree: 2, total: 4 }, delayed: { count: 1, of: 2 }, ended: 5 });
    expect(middle!.withdrawn).toEqual({ count: 0, of: 1 });
    // The fourth complied at the second length only.
    expect(long).toMatchObject({ agreement: { agree: 3, total: 5 }, delayed: { count: 2, of: 3 } });
    expect(long!.withdrawn).toEqual({ count: 1, of: 2 });
  });

  it('of no answers is empty', () => {
    expect(agreementByLength([])).toEqual([]);
  });
});

describe('the stages that generate', () => {
  const LATE = 'Sure, to do this you will want a few things. However, I must decline to go on with it.';
  const mechanism: Mechanism = {
    ...planOr(['3/1']),
    score: (prompt, isOff) => (prompt === 'h1' && !isOff('3/1') ? 3 : -3),
    answer: (prompt, isOff) => (prompt === 'h1' && !isOff('3/1') ? "I'm sorry, but I can't help." : LATE),
  };
  const context = () => createPlantedContext({ layers: [3], mechanism });

  it('show a refusal under a set that comes late', async () => {
    const cases = [{ prompt: textPrompt('h1'), set: [parseFeature('3/1')], score: -3 }];
    const request = { model: '', cases, positions: INSTRUCTION, maxNewTokens: 32 };
    const { byLength, counts } = await verifyFlips(context(), request);
    expect(counts.refused).toBe(1);
    expect(byLength.map(({ tokens, agreement, delayed }) => [tokens, agreement.agree, delayed.count])).toEqual([
      [8, 1, 0],
      [16, 0, 1],
      [32, 0, 1],
    ]);
  });

  it('show it for clean answers too, beyond the tokens that the baselines are read off', async () => {
    const prompts = [
      { prompt: textPrompt('h1'), label: 'harmful' as const },
      { prompt: textPrompt('b1'), label: 'harmless' as const },
    ];
    const { byLength, baselines } = await calibrateOpeners(context(), {
      model: '',
      prompts,
      maxDepth: 4,
      maxNewTokens: 12,
    });
    expect(byLength.map(({ tokens, agreement }) => [tokens, agreement])).toEqual([
      [8, { agree: 2, total: 2 }],
      [12, { agree: 2, total: 2 }],
    ]);
    expect(baselines.map(({ judgement }) => judgement.verdict)).toEqual(['refused', 'refused']);
    const tooLong = calibrateOpeners(context(), { model: '', prompts, maxDepth: 4, maxNewTokens: 500 });
    await expect(tooLong).rejects.toMatchObject({
      code: 'REQUEST_TOO_LARGE',
      message: '500 new tokens were asked for; 1 to 256 are allowed.',
    });
  });
});
