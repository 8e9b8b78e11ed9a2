/** Which suppressed features a dormant one owes its waking to, and at which tokens it wakes. */

import type { FeatureId } from '../../../shared/tensors/feature-name.js';
import type { Positions } from '../../../shared/tensors/positions.js';
import { editedPositions, kindOfPosition, type PositionKind } from '../model/edited-positions.js';
import type { PreparedPrompt } from '../model/evaluator.js';
import { createFeatureBank, type FeatureBank } from '../model/feature-bank.js';
import type { SearchContext } from '../model/scoring.js';

export interface WakersRequest {
  readonly prompt: PreparedPrompt;
  readonly positions: Positions;
  readonly feature: FeatureId;
  /** Off together, they wake it. */
  readonly suppressed: readonly FeatureId[];
}

export interface Wakers {
  /** Off alone, these wake it; with any one of them restored it sleeps at half of the positions or more. Empty if `suppressed` does not wake it. */
  readonly features: readonly FeatureId[];
  /** How many positions of each kind it is awake at while they are off. */
  readonly positions: Readonly<Record<PositionKind, number>>;
}

/** Awake at no more than this share of the positions at which all of them wake it, a feature sleeps: noise may leave a stray one. */
const AWAKE_SHARE = 0.5;

/** Costs one forward pass a suppressed feature of an earlier layer. */
export async function findWakers(context: SearchContext, request: WakersRequest): Promise<Wakers> {
  const { prompt, positions, feature, suppressed } = request;
  let wakers = suppressed.filter(({ layer }) => layer < feature.layer);
  const bank = await createFeatureBank(context, wakers, positions);
  const awakeUnder = (off: readonly FeatureId[]) => readAwake(context, prompt, positions, feature, bank, off);
  let awake = await awakeUnder(wakers);
  if (awake.length === 0) return { features: [], positions: countKinds([], prompt) };
  const enough = awake.length * AWAKE_SHARE;
  for (const member of wakers) {
    const rest = wakers.filter((other) => other !== member);
    const still = rest.length === 0 ? [] : await awakeUnder(rest);
    if (still.length > enough) [wakers, awake] = [rest, still];
  }
  return { features: wakers, positions: countKinds(awake, prompt) };
}

/** The edited positions at which the feature is on. */
async function readAwake(
  context: SearchContext,
  prompt: PreparedPrompt,
  positions: Positions,
  { layer, index }: FeatureId,
  { bank, edits }: FeatureBank,
  off: readonly FeatureId[],
): Promise<number[]> {
  const asked = editedPositions(positions, prompt.tokens);
  if (asked.length === 0 || off.length === 0) return [];
  const capture = {
    prompts: [prompt.prompt],
    layers: [layer],
    positions: asked,
    edits: { bank, on: edits(off).sort((a, b) => a - b) },
  };
  const awake: number[] = [];
  for await (const { residuals, positions: at } of context.model.capture(capture, context.signal)) {
    const rows = await context.saes.encode(layer, residuals.get(layer)!, [index], context.signal);
    awake.push(...at.filter((_, row) => rows[row]!.indices.length > 0));
  }
  return awake;
}

function countKinds(awake: readonly number[], { tokens }: PreparedPrompt): Record<PositionKind, number> {
  const counts = { bos: 0, template: 0, content: 0 };
  for (const position of awake) counts[kindOfPosition(position, tokens)]++;
  return counts;
}
