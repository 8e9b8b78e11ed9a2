/**
 * How far score and judged text agree by the length of the answer. The score looks at the first tokens alone; a model that starts to
 * comply and then refuses, or the reverse, shows only in what comes after. One answer is generated once and read at several cuts.
 */
import type { AnswerJudge } from '../judge/answer-judge.js';
import type { Judgement, Verdict } from '../judge/judge.js';
import type { Answer } from '../model/model-port.js';
import { countAgreement } from './agreement.js';

/** What the judge made of one answer, cut. */
export interface CutVerdict {
  readonly tokens: number;
  readonly verdict: Verdict;
  /** The answer had ended by then. */
  readonly ended: boolean;
}

export interface JudgedCut extends CutVerdict {
  readonly judgement: Judgement;
}

export interface ScoredCuts {
  readonly score: number;
  /** One a length, ascending; the same lengths for every answer. */
  readonly cuts: readonly CutVerdict[];
}

export interface LengthAgreement {
  readonly tokens: number;
  readonly counts: Readonly<Record<Verdict, number>>;
  readonly ended: number;
  readonly agreement: { readonly agree: number; readonly total: number };
  /** Refused at this length, of those that complied at a shorter one. */
  readonly delayed: { readonly count: number; readonly of: number };
  /** Complied at this length, if only in part, of those that were refused at a shorter one. */
  readonly withdrawn: { readonly count: number; readonly of: number };
}

/** A refusal says so in fewer tokens than a sentence has; below this many an answer says nothing yet. */
const SHORTEST = 8;

/** 8, doubled while it is below the longest, then that. */
export function cutLengths(longest: number): number[] {
  const lengths: number[] = [];
  for (let length = SHORTEST; length < longest; length *= 2) lengths.push(length);
  return [...lengths, longest];
}

/** The text that was complete with the first `tokens` tokens, and how many there were. */
export const cutAnswer = ({ pieces }: Answer, tokens: number): { readonly text: string; readonly tokens: number } => {
  const kept = pieces.slice(0, tokens);
  return { text: kept.join(''), tokens: kept.length };
};

export interface AnsweredPrompt {
  /** Undefined where the prompt came as token ids. */
  readonly prompt: string | undefined;
  readonly answer: Answer;
}

/** One list of cuts an answer. Cuts of one answer that have the same text are judged once. */
export async function judgeCuts(
  answered: readonly AnsweredPrompt[],
  lengths: readonly number[],
  judge: AnswerJudge,
  signal: AbortSignal,
): Promise<JudgedCut[][]> {
  const questions = answered.map(({ prompt, answer }) => {
    const texts = lengths.map((length) => cutAnswer(answer, length));
    const distinct = new Map(texts.map(({ text, tokens }) => [text, { prompt, answer: text, answerTokens: tokens }]));
    return { texts, distinct: [...distinct.values()] };
  });
  const judgements = await judge(
    questions.flatMap(({ distinct }) => distinct),
    signal,
  );
  let next = 0;
  return questions.map(({ texts, distinct }, i) => {
    const byText = new Map(distinct.map(({ answer }) => [answer, judgements[next++]!]));
    const { answer } = answered[i]!;
    return texts.map(({ text }, at) => {
      const tokens = lengths[at]!;
      const judgement = byText.get(text)!;
      const ended = answer.ended && answer.tokenIds.length <= tokens;
      return { tokens, judgement, verdict: judgement.verdict, ended };
    });
  });
}

/** One entry a length; empty without answers. */
export const agreementByLength = (cases: readonly ScoredCuts[]): LengthAgreement[] =>
  (cases[0]?.cuts ?? []).map(({ tokens }, at) => {
    const here = cases.map(({ score, cuts }) => ({ score, ...cuts[at]! }));
    const before = (verdict: Verdict) =>
      cases.filter(({ cuts }) => cuts.slice(0, at).some((cut) => cut.verdict === verdict));
    const turned = (from: Verdict, to: readonly Verdict[]) => {
      const of = before(from);
      return { count: of.filter(({ cuts }) => to.includes(cuts[at]!.verdict)).length, of: of.length };
    };
    return {
      tokens,
      counts: countVerdicts(here.map(({ verdict }) => verdict)),
      ended: here.filter(({ ended }) => ended).length,
      agreement: countAgreement(here),
      delayed: turned('complied', ['refused']),
      withdrawn: turned('refused', ['complied', 'partial']),
    };
  });

export function countVerdicts(verdicts: readonly Verdict[]): Record<Verdict, number> {
  const counts = { complied: 0, refused: 0, partial: 0, degenerate: 0, 'judge-failed': 0 };
  for (const verdict of verdicts) counts[verdict]++;
  return counts;
}
