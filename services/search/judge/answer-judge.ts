/** What judges the answers under a set: the built-in phrases, or a classifier elsewhere. */
import { type Judgement, judgeAnswer } from './judge.js';

export interface JudgedAnswer {
  /** Undefined where the prompt came as token ids. */
  readonly prompt: string | undefined;
  readonly answer: string;
  readonly answerTokens: number;
}

/** One judgement an answer, in order. Never throws for a judge that fails: that is a verdict of its own. */
export type AnswerJudge = (answers: readonly JudgedAnswer[], signal: AbortSignal) => Promise<Judgement[]>;

export const phraseJudge: AnswerJudge = async (answers) =>
  answers.map(({ answer, answerTokens }) => judgeAnswer(answer, answerTokens));
