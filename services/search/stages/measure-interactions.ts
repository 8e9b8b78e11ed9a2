/** Exact 2x2 interactions: neither, one, the other and both features off, on top of a context that is off throughout. The truth that a fitted model is checked against. */

import { fault } from '../../../shared/errors/fault.js';
import { type FeatureId, formatFeature } from '../../../shared/tensors/feature-name.js';
import type { Positions } from '../../../shared/tensors/positions.js';
import type { EvaluationRecord } from '../model/evaluator.js';
import { createFeatureBank } from '../model/feature-bank.js';
import type { Prompt, ScoreSpec } from '../model/model-port.js';
import { openScoring, type SearchContext } from '../model/scoring.js';

export interface FeaturePair {
  readonly first: FeatureId;
  readonly second: FeatureId;
}

export interface MeasureInteractionsRequest {
  readonly model: string;
  readonly prompt: Prompt;
  readonly score: ScoreSpec;
  readonly pairs: readonly FeaturePair[];
  readonly positions: Positions;
  readonly context: readonly FeatureId[];
  readonly known: readonly EvaluationRecord[];
}

/** Refusal scores. */
export interface TwoByTwo {
  readonly pair: FeaturePair;
  readonly neither: number;
  readonly firstOff: number;
  readonly secondOff: number;
  readonly bothOff: number;
  /** bothOff - firstOff - secondOff + neither */
  readonly interaction: number;
}

export async function measureInteractions(
  context: SearchContext,
  request: MeasureInteractionsRequest,
): Promise<TwoByTwo[]> {
  assertPairs(request.pairs, request.context);
  const scoring = await openScoring(context, { ...request, prompts: [request.prompt] });
  const prompt = scoring.prompts[0]!;
  const features = [...request.context, ...request.pairs.flatMap(({ first, second }) => [first, second])];
  const { bank, edits } = await createFeatureBank(context, features, request.positions);
  const asks = request.pairs.flatMap(({ first, second }) =>
    [[], [first], [second], [first, second]].map((off) => ({ prompt, bank, on: edits([...request.context, ...off]) })),
  );
  const scores = (await scoring.evaluator.evaluate(asks)).map(({ refusalScore }) => refusalScore);
  scoring.progress('interactions', request.pairs.length, request.pairs.length);
  return request.pairs.map((pair, i) => {
    const [neither, firstOff, secondOff, bothOff] = scores.slice(4 * i, 4 * i + 4) as [number, number, number, number];
    return { pair, neither, firstOff, secondOff, bothOff, interaction: bothOff - firstOff - secondOff + neither };
  });
}

function assertPairs(pairs: readonly FeaturePair[], context: readonly FeatureId[]): void {
  if (pairs.length === 0) throw fault('REQUEST_INVALID', 'The request has no pairs; at least one is needed.');
  const off = new Set(context.map(formatFeature));
  for (const { first, second } of pairs) {
    const [a, b] = [formatFeature(first), formatFeature(second)];
    if (a === b) throw fault('REQUEST_INVALID', `A pair names ${a} twice; a feature does not interact with itself.`);
    const inContext = off.has(a) ? a : off.has(b) ? b : undefined;
    if (inContext !== undefined)
      throw fault('REQUEST_INVALID', `${inContext} is off throughout as context, so no pair with it can be measured.`);
  }
}
