/**
 * What a suppression costs on harmless text: KL of the first answer token, and cross-entropy of the model's own clean answers, under
 * each set. A set that flips the refusal and leaves both alone tells of refusal; one that breaks the model flips everything.
 */

import { fault } from '../../../shared/errors/fault.js';
import type { FeatureId } from '../../../shared/tensors/feature-name.js';
import type { Positions } from '../../../shared/tensors/positions.js';
import type { Bank } from '../model/bank.js';
import { type EvaluationRecord, throwIfAborted } from '../model/evaluator.js';
import { assertDistinctFeatures, createFeatureBank } from '../model/feature-bank.js';
import type { Prompt, ScoreSpec } from '../model/model-port.js';
import { openScoring, type SearchContext } from '../model/scoring.js';
import { average } from '../statistics/mean-evidence.js';

export interface NamedSet {
  /** The caller's name for it. */
  readonly name: string;
  readonly features: readonly FeatureId[];
}

export interface MeasureCostRequest {
  readonly model: string;
  readonly prompts: readonly Prompt[];
  readonly sets: readonly NamedSet[];
  readonly score: ScoreSpec;
  readonly positions: Positions;
  /** Tokens of each clean answer that cross-entropy is measured on. */
  readonly answerTokens: number;
  readonly known: readonly EvaluationRecord[];
}

export interface SetCost {
  readonly name: string;
  /** Mean and largest KL(clean || edited) of the first answer token over the prompts, nats. */
  readonly meanKl: number;
  readonly largestKl: number;
  /** Mean over all tokens of the clean answers, nats a token: under the set, and clean. */
  readonly crossEntropy: number;
  readonly cleanCrossEntropy: number;
  /** Prompts that are refused under the set, and prompts where the set changed anything. */
  readonly refused: number;
  readonly acted: number;
  readonly prompts: number;
  readonly answerTokens: number;
}

export const DEFAULT_ANSWER_TOKENS = 32;
const PROMPTS_A_REQUEST = 16;

export async function measureCost(context: SearchContext, request: MeasureCostRequest): Promise<SetCost[]> {
  if (request.sets.length === 0) throw fault('REQUEST_INVALID', 'The request has no sets; at least one is needed.');
  for (const { name, features } of request.sets) assertDistinctFeatures(features, `The set ${name}`);
  const scoring = await openScoring(context, request);
  const { maxNewTokens } = scoring.facts.limits;
  if (request.answerTokens < 1 || request.answerTokens > maxNewTokens)
    throw fault(
      'REQUEST_TOO_LARGE',
      `${request.answerTokens} answer tokens were asked for; 1 to ${maxNewTokens} are allowed.`,
    );
  const answers = await cleanAnswers(context, request);
  const tokens = answers.map((ids) => ids.length);
  const meanOf = (nats: readonly number[]): number =>
    nats.reduce((sum, value, i) => sum + value * tokens[i]!, 0) / tokens.reduce((sum, count) => sum + count, 0);
  const clean = meanOf(await crossEntropyOf(context, request, answers));
  const costs: SetCost[] = [];
  for (const [i, { name, features }] of request.sets.entries()) {
    const { bank, edits } = await createFeatureBank(context, features, request.positions);
    const on = edits(features).sort((a, b) => a - b);
    const asks = scoring.prompts.map((prompt) => ({ prompt, bank, on }));
    const evaluations = await scoring.evaluator.evaluate(asks, { firstTokenKl: true });
    const kl = evaluations.map(({ firstTokenKl }) => firstTokenKl ?? Number.NaN);
    const nats = await crossEntropyOf(context, request, answers, { bank, on });
    costs.push({
      name,
      meanKl: average(kl),
      largestKl: Math.max(...kl),
      crossEntropy: meanOf(nats),
      cleanCrossEntropy: clean,
      refused: evaluations.filter(({ refusalScore }) => refusalScore > 0).length,
      acted: evaluations.filter(({ acted }) => acted).length,
      prompts: evaluations.length,
      answerTokens: tokens.reduce((sum, count) => sum + count, 0),
    });
    scoring.progress('cost', i + 1, request.sets.length);
  }
  return costs;
}

async function cleanAnswers(
  context: SearchContext,
  { prompts, answerTokens }: MeasureCostRequest,
): Promise<(readonly number[])[]> {
  const answers: (readonly number[])[] = [];
  for (const part of inParts(prompts)) {
    throwIfAborted(context.signal);
    const generated = await context.model.generate({ prompts: part, maxNewTokens: answerTokens }, context.signal);
    answers.push(...generated.map(({ tokenIds }) => tokenIds));
  }
  return answers;
}

async function crossEntropyOf(
  context: SearchContext,
  { prompts }: MeasureCostRequest,
  answers: readonly (readonly number[])[],
  edits?: { readonly bank: Bank; readonly on: readonly number[] },
): Promise<number[]> {
  const nats: number[] = [];
  for (const [i, part] of inParts(prompts).entries()) {
    throwIfAborted(context.signal);
    const continuations = answers.slice(i * PROMPTS_A_REQUEST, i * PROMPTS_A_REQUEST + part.length);
    const request = { prompts: part, continuations, ...(edits && { edits }) };
    nats.push(...(await context.model.crossEntropy(request, context.signal)));
  }
  return nats;
}

const inParts = (prompts: readonly Prompt[]): Prompt[][] =>
  Array.from({ length: Math.ceil(prompts.length / PROMPTS_A_REQUEST) }, (_, i) =>
    prompts.slice(i * PROMPTS_A_REQUEST, (i + 1) * PROMPTS_A_REQUEST),
  );
