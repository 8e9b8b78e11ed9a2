/** Scores of many masks over given features, for whoever fits a model to them: every mask on every prompt, or mask i on prompt i. */

import { fault } from '../../../shared/errors/fault.js';
import type { FeatureId } from '../../../shared/tensors/feature-name.js';
import { decodeMaskIndices } from '../../../shared/tensors/mask-bits.js';
import type { Positions } from '../../../shared/tensors/positions.js';
import type { Ask, EvaluationRecord } from '../model/evaluator.js';
import { assertDistinctFeatures, createFeatureBank } from '../model/feature-bank.js';
import type { Evaluation, Prompt, ScoreSpec } from '../model/model-port.js';
import { openScoring, type SearchContext } from '../model/scoring.js';

export interface SampleMasksRequest {
  readonly model: string;
  readonly prompts: readonly Prompt[];
  readonly score: ScoreSpec;
  readonly features: readonly FeatureId[];
  readonly positions: Positions;
  /** One bit a feature, in the order of `features`. */
  readonly masks: readonly Uint8Array[];
  readonly paired: boolean;
  readonly known: readonly EvaluationRecord[];
}

const ASKS_A_ROUND = 512;

/** Prompt-major; or one a mask, if paired. */
export async function sampleMasks(context: SearchContext, request: SampleMasksRequest): Promise<readonly Evaluation[]> {
  assertDistinctFeatures(request.features, 'The request');
  if (request.masks.length === 0) throw fault('REQUEST_INVALID', 'The request has no masks; at least one is needed.');
  if (request.paired && request.masks.length !== request.prompts.length)
    throw fault(
      'REQUEST_INVALID',
      `Paired sampling needs one prompt a mask; ${request.masks.length} masks and ${request.prompts.length} prompts were given.`,
    );
  const chosen = request.masks.map((mask) => decodeMaskIndices(mask, request.features.length));
  const scoring = await openScoring(context, request);
  const { bank, edits } = await createFeatureBank(context, request.features, request.positions);
  const place = edits(request.features);
  const masks = chosen.map((indices) => indices.map((index) => place[index]!));
  const asks: Ask[] = request.paired
    ? masks.map((on, i) => ({ prompt: scoring.prompts[i]!, bank, on }))
    : scoring.prompts.flatMap((prompt) => masks.map((on) => ({ prompt, bank, on })));
  const evaluations: Evaluation[] = [];
  for (let start = 0; start < asks.length; start += ASKS_A_ROUND) {
    evaluations.push(...(await scoring.evaluator.evaluate(asks.slice(start, start + ASKS_A_ROUND))));
    scoring.progress('masks', evaluations.length, asks.length);
  }
  return evaluations;
}
