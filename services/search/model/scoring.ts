/**
 * What every stage starts with: the model's facts, an evaluator over what the request brought along, prompts turned into tokens.
 * A stage gets a context and gives a result; it never knows whom it reports to.
 */
import { fault } from '../../../shared/errors/fault.js';
import type { AnswerJudge } from '../judge/answer-judge.js';
import { createEvaluator, type EvaluationRecord, type Evaluator, type PreparedPrompt } from './evaluator.js';
import type { ModelFacts, Prompt, RefusalModel, ScoreSpec } from './model-port.js';
import type { SaeSource } from './sae-port.js';

export interface StageProgress {
  readonly stage: string;
  readonly done: number;
  /** 0 while it is not known. */
  readonly total: number;
  readonly detail?: string;
  /** Distinct evaluations asked for so far, and how many of them needed no work. */
  readonly evaluations: number;
  readonly evaluationsReused: number;
}

export interface SearchContext {
  readonly model: RefusalModel;
  readonly saes: SaeSource;
  /** Of answers under a set. Default: the built-in phrases. */
  readonly judge?: AnswerJudge;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: StageProgress) => void;
  readonly onEvaluation: (record: EvaluationRecord) => void;
}

export interface ScoringRequest {
  /** The model's expected name; empty takes whatever is served. */
  readonly model: string;
  readonly prompts: readonly Prompt[];
  readonly score: ScoreSpec;
  readonly known: readonly EvaluationRecord[];
}

export interface Scoring {
  readonly facts: ModelFacts;
  readonly evaluator: Evaluator;
  /** In the order of the request's prompts. */
  readonly prompts: readonly PreparedPrompt[];
  progress(stage: string, done: number, total: number, detail?: string): void;
}

/** @throws REQUEST_INVALID without prompts or without openers; MODEL_UNKNOWN; whatever tokenizing throws. */
export async function openScoring(context: SearchContext, request: ScoringRequest): Promise<Scoring> {
  if (request.prompts.length === 0)
    throw fault('REQUEST_INVALID', 'The request has no prompts; at least one is needed.');
  assertScoreSpec(request.score);
  const facts = await context.model.describe(request.model, context.signal);
  const tokenized = await tokenizeAll(context, request.prompts, facts.limits.maxPrompts);
  const evaluator = createEvaluator({
    model: context.model,
    facts,
    score: request.score,
    known: request.known,
    onRecord: context.onEvaluation,
    signal: context.signal,
  });
  return {
    facts,
    evaluator,
    prompts: request.prompts.map((prompt, i) => evaluator.prepare(prompt, tokenized[i]!)),
    progress: (stage, done, total, detail) => {
      const { asked, reused } = evaluator.counts();
      const counted = { evaluations: asked, evaluationsReused: reused };
      context.onProgress({ stage, done, total, ...counted, ...(detail !== undefined && { detail }) });
    },
  };
}

/** In the order of `prompts`. */
export async function tokenizeAll(context: SearchContext, prompts: readonly Prompt[], maxPrompts: number) {
  const tokenized = [];
  for (let start = 0; start < prompts.length; start += maxPrompts) {
    const part = prompts.slice(start, start + maxPrompts);
    tokenized.push(...(await context.model.tokenize(part, [], context.signal)).prompts);
  }
  return tokenized;
}

function assertScoreSpec(score: ScoreSpec): void {
  if (score.openers.length === 0 || score.openers.length > 64)
    throw fault(
      'REQUEST_INVALID',
      `The score has ${score.openers.length} openers; 1 to 64 are allowed. Calibrate first.`,
    );
  const bad = score.openers.find((opener) => opener.length === 0 || opener.length > 4);
  if (bad !== undefined) throw fault('REQUEST_INVALID', `An opener has ${bad.length} tokens; 1 to 4 are allowed.`);
}
