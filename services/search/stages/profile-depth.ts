/**
 * From which layer on a flip is possible at all: each layer's candidates off alone, all up to it, and it with all later ones. A late
 * feature that merely writes the opener flips everything; the profile shows whether a set found there says more than that.
 */

import type { FeatureId } from '../../../shared/tensors/feature-name.js';
import type { Positions } from '../../../shared/tensors/positions.js';
import type { EvaluationRecord } from '../model/evaluator.js';
import { assertDistinctFeatures, createFeatureBank } from '../model/feature-bank.js';
import type { Prompt, ScoreSpec } from '../model/model-port.js';
import { openScoring, type SearchContext } from '../model/scoring.js';

export interface ProfileDepthRequest {
  readonly model: string;
  readonly prompts: readonly Prompt[];
  readonly score: ScoreSpec;
  readonly candidates: readonly FeatureId[];
  readonly positions: Positions;
  readonly known: readonly EvaluationRecord[];
}

export interface Flips {
  readonly flips: number;
  readonly meanScore: number;
}

export interface LayerFlips {
  readonly layer: number;
  readonly alone: Flips;
  readonly upTo: Flips;
  readonly from: Flips;
  /** Prompts, the denominator of all three. */
  readonly total: number;
}

const PROMPTS_A_ROUND = 8;

export async function profileDepth(context: SearchContext, request: ProfileDepthRequest): Promise<LayerFlips[]> {
  assertDistinctFeatures(request.candidates, 'The depth profile');
  const scoring = await openScoring(context, request);
  const { bank, edits } = await createFeatureBank(context, request.candidates, request.positions);
  const layers = [...new Set(request.candidates.map(({ layer }) => layer))].sort((a, b) => a - b);
  const editsOf = (matches: (layer: number) => boolean) =>
    edits(request.candidates.filter(({ layer }) => matches(layer)));
  const masks = layers.flatMap((layer) => [
    editsOf((other) => other === layer),
    editsOf((other) => other <= layer),
    editsOf((other) => other >= layer),
  ]);
  const scores: number[][] = masks.map(() => []);
  for (let start = 0; start < scoring.prompts.length; start += PROMPTS_A_ROUND) {
    const prompts = scoring.prompts.slice(start, start + PROMPTS_A_ROUND);
    const asks = prompts.flatMap((prompt) => masks.map((on) => ({ prompt, bank, on })));
    const evaluations = await scoring.evaluator.evaluate(asks);
    for (const [i, { refusalScore }] of evaluations.entries()) scores[i % masks.length]!.push(refusalScore);
    scoring.progress('depth', start + prompts.length, scoring.prompts.length);
  }
  return layers.map((layer, i) => ({
    layer,
    alone: countFlips(scores[3 * i]!),
    upTo: countFlips(scores[3 * i + 1]!),
    from: countFlips(scores[3 * i + 2]!),
    total: scoring.prompts.length,
  }));
}

const countFlips = (scores: readonly number[]): Flips => ({
  flips: scores.filter((score) => score < 0).length,
  meanScore: scores.reduce((sum, score) => sum + score, 0) / scores.length,
});
