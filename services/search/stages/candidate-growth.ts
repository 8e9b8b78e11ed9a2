/** Stage 2's opening: how many candidates a layer it takes until all of them off flips the prompt, if any number does. */

import { fault } from '../../../shared/errors/fault.js';
import { formatFeature } from '../../../shared/tensors/feature-name.js';
import type { Positions } from '../../../shared/tensors/positions.js';
import type { Bank } from '../model/bank.js';
import { EMPTY_BANK } from '../model/bank.js';
import type { PreparedPrompt } from '../model/evaluator.js';
import type { Evaluation } from '../model/model-port.js';
import type { RankedFeature } from '../model/sae-port.js';
import type { Scoring, SearchContext } from '../model/scoring.js';
import { type LayerDirection, MAX_CANDIDATES_A_LAYER, rankCandidates } from './rank-candidates.js';

export const DEFAULT_GROWTH: readonly number[] = [10, 20, 50, 100, 200];

export interface GrowthStep {
  readonly candidatesPerLayer: number;
  /** Every candidate's ablation; its edits are the candidates, in the bank's order. */
  readonly bank: Bank;
  /** In the bank's order. */
  readonly candidates: readonly RankedFeature[];
  readonly allOff: Evaluation;
}

export interface Growth {
  readonly clean: Evaluation;
  /** The K that were tried, ascending; the last is the one at which all off flipped, if it did. Empty if the prompt is not refused. */
  readonly steps: readonly GrowthStep[];
  readonly outcome: 'flipped' | 'no-flip' | 'not-refused';
}

export async function growCandidates(
  context: SearchContext,
  scoring: Scoring,
  prompt: PreparedPrompt,
  request: {
    readonly directions: readonly LayerDirection[];
    readonly growth: readonly number[];
    readonly positions: Positions;
  },
): Promise<Growth> {
  const growth = request.growth.length > 0 ? request.growth : DEFAULT_GROWTH;
  assertGrowth(growth);
  const ranked = await rankCandidates(context, request.directions, growth.at(-1)!);
  const [clean] = await scoring.evaluator.evaluate([{ prompt, bank: EMPTY_BANK, on: [] }]);
  assertFiniteScore(clean!, prompt);
  if (clean!.refusalScore <= 0) return { clean: clean!, steps: [], outcome: 'not-refused' };
  const steps: GrowthStep[] = [];
  for (const count of growth) {
    const candidates = takePerLayer(ranked, count);
    if (candidates.length === steps.at(-1)?.candidates.length) break;
    const step = await switchAllOff(context, scoring, prompt, candidates, count, request.positions);
    steps.push(step);
    if (step.allOff.refusalScore < 0) return { clean: clean!, steps, outcome: 'flipped' };
  }
  return { clean: clean!, steps, outcome: 'no-flip' };
}

async function switchAllOff(
  context: SearchContext,
  scoring: Scoring,
  prompt: PreparedPrompt,
  candidates: readonly RankedFeature[],
  candidatesPerLayer: number,
  positions: Positions,
): Promise<GrowthStep> {
  const bank = await context.saes.ablations(candidates, positions, context.signal);
  const on = bank.names.map((_, i) => i);
  const [allOff] = await scoring.evaluator.evaluate([{ prompt, bank, on }]);
  assertFiniteScore(allOff!, prompt);
  scoring.progress('filter', 0, 0, `all off at ${candidatesPerLayer} a layer`);
  const byName = new Map(candidates.map((candidate) => [formatFeature(candidate), candidate]));
  return { candidatesPerLayer, bank, candidates: bank.names.map((name) => byName.get(name)!), allOff: allOff! };
}

/** The first `count` of each layer; `ranked` is grouped by layer, best first. */
export function takePerLayer(ranked: readonly RankedFeature[], count: number): RankedFeature[] {
  const taken = new Map<number, number>();
  return ranked.filter(({ layer }) => {
    const before = taken.get(layer) ?? 0;
    taken.set(layer, before + 1);
    return before < count;
  });
}

function assertGrowth(growth: readonly number[]): void {
  const inRange = growth.every((count) => Number.isInteger(count) && count >= 1 && count <= MAX_CANDIDATES_A_LAYER);
  const ascending = growth.every((count, i) => i === 0 || count > growth[i - 1]!);
  if (inRange && ascending) return;
  throw fault(
    'REQUEST_INVALID',
    `The growth is ${growth.join(', ')}; it must be ascending whole numbers from 1 to ${MAX_CANDIDATES_A_LAYER}.`,
  );
}

export function assertFiniteScore(evaluation: Evaluation, prompt: PreparedPrompt): void {
  if (Number.isFinite(evaluation.refusalScore)) return;
  throw fault(
    'NOT_FINITE',
    `The refusal score of prompt ${prompt.prompt.id} is ${evaluation.refusalScore}: the model's output broke under the edits.`,
  );
}
