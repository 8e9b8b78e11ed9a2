/**
 * Sufficiency of a set, the other half of a causal claim. With everything near the direction off, do its features alone bring refusal
 * back: left on as they come, and put back at the very activations of the clean prompt? And written into harmless prompts, do they
 * cause a refusal? Random sets of the same size are tried the same way.
 */

import { fault } from '../../../shared/errors/fault.js';
import { createSeededRandom } from '../../../shared/random/seeded-random.js';
import { type FeatureId, formatFeature } from '../../../shared/tensors/feature-name.js';
import type { Positions } from '../../../shared/tensors/positions.js';
import { EMPTY_BANK } from '../model/bank.js';
import { type Clamp, createClamps, joinBanks } from '../model/clamps.js';
import { editedPositions } from '../model/edited-positions.js';
import type { Ask, EvaluationRecord, PreparedPrompt } from '../model/evaluator.js';
import { assertDistinctFeatures, createFeatureBank, type FeatureBank } from '../model/feature-bank.js';
import type { Prompt, ScoreSpec } from '../model/model-port.js';
import { groupByLayer } from '../model/read-activations.js';
import { openScoring, type Scoring, type SearchContext } from '../model/scoring.js';
import { average } from '../statistics/mean-evidence.js';

export interface SufficiencyRequest {
  readonly model: string;
  readonly prompt: Prompt;
  readonly set: readonly FeatureId[];
  /** Everything near the direction, the set included or not. */
  readonly candidates: readonly FeatureId[];
  readonly harmless: readonly Prompt[];
  readonly score: ScoreSpec;
  readonly positions: Positions;
  /** Random sets tried beside the set. */
  readonly draws: number;
  readonly seed: number;
  readonly known: readonly EvaluationRecord[];
}

export interface SufficiencyArm {
  /** All off but these, which stay as they come. Above 0: they refuse alone. */
  readonly leftOnScore: number;
  /** All off, and these written at their clean activations, position by position. */
  readonly putBackScore: number;
  /** Harmless prompts that are refused once these are written into them, of `harmlessTotal`. */
  readonly harmlessRefused: number;
  readonly meanHarmlessScore: number;
}

export interface SufficiencyReport {
  readonly promptId: string;
  readonly cleanScore: number;
  /** Everything off, the set too. */
  readonly allOffScore: number;
  readonly set: SufficiencyArm;
  readonly random: readonly SufficiencyArm[];
  readonly harmlessTotal: number;
  /** Harmless prompts that the clean model refuses; they are left out of `harmlessRefused` and `harmlessTotal`. */
  readonly harmlessRefusedClean: number;
  /** Members that are zero on the clean prompt: nothing of them can be put back. */
  readonly dormantMembers: readonly FeatureId[];
}

export const DEFAULT_SUFFICIENCY_DRAWS = 3;

export async function testSufficiency(context: SearchContext, request: SufficiencyRequest): Promise<SufficiencyReport> {
  assertDistinctFeatures(request.set, 'The set');
  if (request.draws < 0 || request.draws > 64)
    throw fault('REQUEST_INVALID', `draws is ${request.draws}; 0 to 64 random sets are allowed.`);
  const scoring = await openScoring(context, { ...request, prompts: [request.prompt, ...request.harmless] });
  const [prompt, ...harmless] = scoring.prompts as [PreparedPrompt, ...PreparedPrompt[]];
  const all = distinct([...request.candidates, ...request.set]);
  const features = await createFeatureBank(context, all, request.positions);
  const activations = await readByPosition(context, prompt, all, request.positions);
  const [clean, allOff, ...cleanHarmless] = await scoring.evaluator.evaluate([
    { prompt, bank: EMPTY_BANK, on: [] },
    { prompt, bank: features.bank, on: features.edits(all) },
    ...harmless.map((own): Ask => ({ prompt: own, bank: EMPTY_BANK, on: [] })),
  ]);
  const answered = harmless.filter((_, i) => cleanHarmless[i]!.refusalScore <= 0);
  const parts: ArmParts = {
    scoring,
    prompt,
    harmless: answered,
    features,
    all,
    activations,
    positions: request.positions,
  };
  const random: SufficiencyArm[] = [];
  for (const drawn of drawSets(request, all, activations)) random.push(await tryArm(parts, drawn));
  const set = await tryArm(parts, request.set);
  scoring.progress('sufficiency', 1, 1);
  return {
    promptId: request.prompt.id,
    cleanScore: clean!.refusalScore,
    allOffScore: allOff!.refusalScore,
    set,
    random,
    harmlessTotal: answered.length,
    harmlessRefusedClean: harmless.length - answered.length,
    dormantMembers: request.set.filter((member) => !activations.has(formatFeature(member))),
  };
}

const distinct = (features: readonly FeatureId[]): FeatureId[] => [
  ...new Map(features.map((feature) => [formatFeature(feature), feature])).values(),
];

/** By feature name, then position; features that are zero throughout are absent. */
type ByPosition = ReadonlyMap<string, ReadonlyMap<number, number>>;

async function readByPosition(
  context: SearchContext,
  prompt: PreparedPrompt,
  features: readonly FeatureId[],
  positions: Positions,
): Promise<ByPosition> {
  const asked = editedPositions(positions, prompt.tokens);
  const found = new Map<string, Map<number, number>>();
  if (asked.length === 0) return found;
  const layers = groupByLayer(features);
  const capture = { prompts: [prompt.prompt], layers: [...layers.keys()].sort((a, b) => a - b), positions: asked };
  for await (const { residuals, positions: at } of context.model.capture(capture, context.signal))
    for (const [layer, indices] of layers) {
      const rows = await context.saes.encode(layer, residuals.get(layer)!, indices, context.signal);
      for (const [row, { indices: on, values }] of rows.entries())
        for (const [i, index] of on.entries()) {
          const name = formatFeature({ layer, index });
          found.set(name, (found.get(name) ?? new Map()).set(at[row]!, values[i]!));
        }
    }
  return found;
}

/** Sets of the same size, from candidates that are on in the clean prompt and not in the set. */
function drawSets({ set, draws, seed }: SufficiencyRequest, all: readonly FeatureId[], activations: ByPosition) {
  const members = new Set(set.map(formatFeature));
  const free = all.map((feature) => [formatFeature(feature), feature] as const).filter(([name]) => !members.has(name));
  const active = free.filter(([name]) => activations.has(name)).map(([, feature]) => feature);
  const random = createSeededRandom(seed).fork('sufficiency');
  return Array.from({ length: draws }, (_, draw) => random.fork(`draw ${draw}`).pick(active, set.length)).filter(
    (drawn) => drawn.length > 0,
  );
}

interface ArmParts {
  readonly scoring: Scoring;
  readonly prompt: PreparedPrompt;
  /** Those that the clean model answers. */
  readonly harmless: readonly PreparedPrompt[];
  readonly features: FeatureBank;
  readonly all: readonly FeatureId[];
  readonly activations: ByPosition;
  readonly positions: Positions;
}

async function tryArm(parts: ArmParts, set: readonly FeatureId[]): Promise<SufficiencyArm> {
  const { scoring, prompt, harmless, features, all } = parts;
  const members = new Set(set.map(formatFeature));
  const others = features.edits(all.filter((feature) => !members.has(formatFeature(feature))));
  const restored = createClamps(
    features.bank,
    set.flatMap((member) => clampsByPosition(parts, member)),
  );
  const putBack = joinBanks(features.bank, restored.bank);
  const written = createClamps(
    features.bank,
    set.flatMap((member) => clampEverywhere(parts, member)),
  );
  const asks: Ask[] = [
    { prompt, bank: features.bank, on: others },
    { prompt, bank: putBack, on: [...others, ...restored.on.map((edit) => features.bank.size + edit)] },
    ...harmless.map((own): Ask => ({ prompt: own, bank: written.bank, on: written.on })),
  ];
  const [leftOn, back, ...caused] = await scoring.evaluator.evaluate(asks);
  const scores = caused.map(({ refusalScore }) => refusalScore);
  return {
    leftOnScore: leftOn!.refusalScore,
    putBackScore: back!.refusalScore,
    harmlessRefused: scores.filter((score) => score > 0).length,
    meanHarmlessScore: scores.length === 0 ? 0 : average(scores),
  };
}

/** One clamp a position, 0 where it is off in the clean prompt; behind the prompt, in the answer, the feature is left as it comes. */
function clampsByPosition({ features, activations, prompt, positions }: ArmParts, member: FeatureId): Clamp[] {
  const [edit] = features.edits([member]);
  const own = activations.get(formatFeature(member));
  return editedPositions(positions, prompt.tokens).map((position) => ({
    edit: edit!,
    value: own?.get(position) ?? 0,
    positions: { span: 'range', start: position, end: position + 1, includeBos: true },
    suffix: `@${position}`,
  }));
}

/** At its mean clean activation where it is on, at every edited position: a single peak would write more than the feature ever is. */
function clampEverywhere({ features, activations, positions }: ArmParts, member: FeatureId): Clamp[] {
  const values = [...(activations.get(formatFeature(member))?.values() ?? [])];
  return values.length === 0
    ? []
    : [{ edit: features.edits([member])[0]!, value: average(values), positions, suffix: '=' }];
}
