/**
 * What the model that was built really does in one prompt: its score with every subset of the causal features off, measured. With noise a
 * gate of the model opens or shuts wrongly in a prompt now and then; this tells what the search missed from what the model does otherwise
 * than its description. No search takes part: every subset is asked. Decoys that the search put into a set are asked about in the same
 * way: several of them together may shut a gate, and then they are in a minimal set of the model, or not.
 */
import { createFeatureBank } from '../../services/search/model/feature-bank.js';
import type { Prompt, ScoreSpec } from '../../services/search/model/model-port.js';
import { openScoring, type SearchContext } from '../../services/search/model/scoring.js';
import type { FeatureId } from '../../shared/tensors/feature-name.js';
import type { Positions } from '../../shared/tensors/positions.js';
import { type FamilyTruth, familyOf, subsetsOf } from './truth.js';

/** 16,384 subsets; with more features nothing is measured. */
const MAX_FEATURES = 14;

export interface MeasuredPrompt {
  readonly prompt: Prompt;
  readonly score: ScoreSpec;
  readonly positions: Positions;
}

export interface NamedFeature extends FeatureId {
  readonly name: string;
}

/** Undefined for too many features. */
export async function measureTruth(
  context: SearchContext,
  { prompt, score, positions }: MeasuredPrompt,
  features: readonly NamedFeature[],
): Promise<FamilyTruth | undefined> {
  if (features.length > MAX_FEATURES) return undefined;
  const scoring = await openScoring(context, { model: '', prompts: [prompt], score, known: [] });
  const { bank, edits } = await createFeatureBank(context, features, positions);
  const names = features.map(({ name }) => name);
  const asks = subsetsOf(names).map((off) => {
    const on = edits(features.filter(({ name }) => off.has(name)));
    return { prompt: scoring.prompts[0]!, bank, on };
  });
  const evaluations = await scoring.evaluator.evaluate(asks);
  return familyOf(
    names,
    evaluations.map(({ refusalScore }) => refusalScore),
  );
}
