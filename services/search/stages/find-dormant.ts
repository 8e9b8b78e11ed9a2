/**
 * Dormant features around one prompt's set: members that are zero on the clean prompt yet needed, and features that wake once the set
 * is off and, switched off as well, change the score again. What wakes is read before a layer's own edits, as an edit there would
 * read it; each woken feature is then tested by ablation on the suppressed and on the intact model, for waking alone proves nothing.
 */

import { fault } from '../../../shared/errors/fault.js';
import { type FeatureId, formatFeature } from '../../../shared/tensors/feature-name.js';
import type { Positions } from '../../../shared/tensors/positions.js';
import { EMPTY_BANK } from '../model/bank.js';
import { kindOfPosition, type PositionKind } from '../model/edited-positions.js';
import type { EvaluationRecord, PreparedPrompt } from '../model/evaluator.js';
import { assertDistinctFeatures, createFeatureBank, type FeatureBank } from '../model/feature-bank.js';
import type { Prompt, ScoreSpec } from '../model/model-port.js';
import { groupByLayer, type PeakActivation, readActivations } from '../model/read-activations.js';
import { openScoring, type Scoring, type SearchContext } from '../model/scoring.js';

export interface FindDormantRequest {
  readonly model: string;
  readonly prompt: Prompt;
  readonly score: ScoreSpec;
  readonly set: readonly FeatureId[];
  readonly candidates: readonly FeatureId[];
  /** Layers whose whole SAEs are searched; of other layers only `candidates`. */
  readonly layers: readonly number[];
  readonly positions: Positions;
  /** Smallest change of the refusal score that counts, above 0. */
  readonly minEffect: number;
  readonly maxTested: number;
  readonly known: readonly EvaluationRecord[];
}

export interface WokenFeature extends FeatureId {
  readonly activation: number;
  readonly position: number;
  readonly positionKind: PositionKind;
  readonly setScore: number;
  readonly setAndFeatureScore: number;
  /** Score change when it alone is off. */
  readonly intactEffect: number;
  /** Score change once the set is off, minus `intactEffect`. */
  readonly conditionalEffect: number;
}

export interface DormantReport {
  readonly promptId: string;
  readonly dormantMembers: readonly FeatureId[];
  /** Tested ones that matter by more than the least effect, the largest conditional effect first. */
  readonly woken: readonly WokenFeature[];
  readonly wokenTotal: number;
  readonly tested: number;
}

export const DORMANT_DEFAULTS = { minEffect: 0.1, maxTested: 64 } as const;

export type LayerFeatures = ReadonlyMap<number, readonly number[] | undefined>;

export async function findDormant(context: SearchContext, request: FindDormantRequest): Promise<DormantReport> {
  assertDistinctFeatures(request.set, 'The set');
  if (!(request.minEffect > 0 && Number.isFinite(request.minEffect)))
    throw fault('REQUEST_INVALID', `min_effect is ${request.minEffect}; it must be a number above 0.`);
  const scoring = await openScoring(context, { ...request, prompts: [request.prompt] });
  const prompt = scoring.prompts[0]!;
  const setBank = await createFeatureBank(context, request.set, request.positions);
  const searched = layersToSearch(request);
  const clean = await readActivations(context, { prompt, positions: request.positions, layers: searched });
  const suppressed = await readSuppressed(context, prompt, request, setBank, searched);
  const members = new Set(request.set.map(formatFeature));
  const woken = [...suppressed]
    .filter(([name]) => !clean.peaks.has(name) && !members.has(name))
    .map(([, peak]) => peak)
    .sort((a, b) => b.value - a.value || a.layer - b.layer || a.index - b.index);
  const tested = woken.slice(0, request.maxTested);
  scoring.progress('dormant', 0, tested.length, `${woken.length} woke`);
  return {
    promptId: prompt.prompt.id,
    dormantMembers: await findDormantMembers(scoring, prompt, request, setBank, clean.peaks),
    woken: await testWoken(context, scoring, prompt, request, tested),
    wokenTotal: woken.length,
    tested: tested.length,
  };
}

/** Whole SAEs of the layers asked for; elsewhere the candidates and the set's own members. */
function layersToSearch(request: FindDormantRequest): LayerFeatures {
  const layers = new Map<number, readonly number[] | undefined>();
  const named = groupByLayer([...request.candidates, ...request.set]);
  for (const [layer, indices] of named) layers.set(layer, [...new Set(indices)]);
  for (const layer of request.layers) layers.set(layer, undefined);
  return layers;
}

/**
 * Activations with the set off. A layer is read with only the members before it off, so that its own edits do not hide what they
 * read; layers between the same two members share one forward pass.
 */
export async function readSuppressed(
  context: SearchContext,
  prompt: PreparedPrompt,
  { set, positions }: Pick<FindDormantRequest, 'set' | 'positions'>,
  setBank: FeatureBank,
  searched: LayerFeatures,
): Promise<Map<string, PeakActivation>> {
  const passes = new Map<number, Map<number, readonly number[] | undefined>>();
  for (const [layer, features] of searched) {
    const before = set.filter((member) => member.layer < layer).length;
    if (before === 0) continue;
    passes.set(before, (passes.get(before) ?? new Map()).set(layer, features));
  }
  const peaks = new Map<string, PeakActivation>();
  for (const layers of passes.values()) {
    const first = Math.min(...layers.keys());
    const on = setBank.edits(set.filter((member) => member.layer < first)).sort((a, b) => a - b);
    const read = await readActivations(context, { prompt, positions, layers, edits: { bank: setBank.bank, on } });
    for (const [name, peak] of read.peaks) peaks.set(name, peak);
  }
  return peaks;
}

async function findDormantMembers(
  scoring: Scoring,
  prompt: PreparedPrompt,
  { set, minEffect }: FindDormantRequest,
  { bank, edits }: FeatureBank,
  clean: ReadonlyMap<string, PeakActivation>,
): Promise<FeatureId[]> {
  const dormant = set.filter((member) => !clean.has(formatFeature(member)));
  const restored = dormant.map((member) => edits(set.filter((other) => other !== member)));
  const asks = [edits(set), ...restored].map((on) => ({ prompt, bank, on }));
  const [whole, ...others] = await scoring.evaluator.evaluate(asks);
  return dormant.filter((_, i) => Math.abs(others[i]!.refusalScore - whole!.refusalScore) > minEffect);
}

async function testWoken(
  context: SearchContext,
  scoring: Scoring,
  prompt: PreparedPrompt,
  { set, positions, minEffect }: FindDormantRequest,
  tested: readonly PeakActivation[],
): Promise<WokenFeature[]> {
  const { bank, edits } = await createFeatureBank(context, [...set, ...tested], positions);
  const masks = tested.flatMap((feature) => [edits([...set, feature]), edits([feature])]);
  const asks = [edits(set), ...masks].map((on) => ({ prompt, bank, on }));
  const clean = { prompt, bank: EMPTY_BANK, on: [] };
  const [intact, whole, ...scores] = await scoring.evaluator.evaluate([clean, ...asks]);
  scoring.progress('dormant', tested.length, tested.length);
  const setScore = whole!.refusalScore;
  return tested
    .map((feature, i) => {
      const setAndFeatureScore = scores[2 * i]!.refusalScore;
      const intactEffect = scores[2 * i + 1]!.refusalScore - intact!.refusalScore;
      return describeWoken(prompt, feature, { setScore, setAndFeatureScore, intactEffect });
    })
    .filter(({ setAndFeatureScore }) => Math.abs(setAndFeatureScore - setScore) > minEffect)
    .sort((a, b) => Math.abs(b.conditionalEffect) - Math.abs(a.conditionalEffect));
}

function describeWoken(
  prompt: PreparedPrompt,
  { layer, index, value, position }: PeakActivation,
  scores: Pick<WokenFeature, 'setScore' | 'setAndFeatureScore' | 'intactEffect'>,
): WokenFeature {
  return {
    layer,
    index,
    activation: value,
    position,
    positionKind: kindOfPosition(position, prompt.tokens),
    ...scores,
    conditionalEffect: scores.setAndFeatureScore - scores.setScore - scores.intactEffect,
  };
}
