/**
 * What the model that was built really does in one prompt: its score with every subset of the causal features off, measured. With noise a
 * gate of the model opens or shuts wrongly in a prompt now and then; this tells what the search missed from what the model does otherwise
 * than its description. No search takes part: every subset is asked.
 */
import { createFeatureBank } from '../../services/search/model/feature-bank.js';
import type { Prompt, ScoreSpec } from '../../services/search/model/model-port.js';
import { openScoring, type SearchContext } from '../../services/search/model/scoring.js';
import type { Positions } from '../../shared/tensors/positions.js';
import type { PlantedModel } from './plant/plant-model.js';
import { type FamilyTruth, familyOf, subsetsOf } from './truth.js';

/** 1,024 subsets; of a mechanism with more causal features nothing is measured. */
const MAX_CAUSAL = 10;

export interface MeasuredPrompt {
  readonly prompt: Prompt;
  readonly score: ScoreSpec;
  readonly positions: Positions;
}

/** Undefined for a mechanism with too many causal features. */
export async function measureTruth(
  context: SearchContext,
  { places }: PlantedModel,
  { prompt, score, positions }: MeasuredPrompt,
  causal: readonly string[],
): Promise<FamilyTruth | undefined> {
  if (causal.length > MAX_CAUSAL) return undefined;
  const featuresOf = (names: Iterable<string>) => [...names].map((name) => places.get(name)!);
  const scoring = await openScoring(context, { model: '', prompts: [prompt], score, known: [] });
  const { bank, edits } = await createFeatureBank(context, featuresOf(causal), positions);
  const asks = subsetsOf(causal).map((off) => ({ prompt: scoring.prompts[0]!, bank, on: edits(featuresOf(off)) }));
  const evaluations = await scoring.evaluator.evaluate(asks);
  return familyOf(
    causal,
    evaluations.map(({ refusalScore }) => refusalScore),
  );
}
