/**
 * Scores directions by bypass, induce and KL (Arditi et al. 2024, appendix C) within a budget of evaluations. All three scores of
 * every direction on every held-out prompt would cost tens of thousands of full forward passes; so all directions are probed on a few
 * prompts, each layer's best on more, and only the best that may be selected get all three. The order is fixed: no chance is involved.
 */
import type { Ask, Evaluator, PreparedPrompt } from '../model/evaluator.js';
import type { Evaluation } from '../model/model-port.js';
import { ablateEverywhere, addAtOwnLayer, type DirectionEdits } from './direction-edits.js';
import type { Direction } from './mean-difference.js';

export type Rejection = 'layer' | 'kl' | 'induce' | 'not-finite' | 'not-scored';

export interface ScoredDirection {
  readonly direction: Direction;
  /** Mean refusal score of harmful prompts with it ablated at every layer; NaN if it has no finite vector. */
  readonly bypass: number;
  /** How many prompts `bypass` is the mean of. */
  readonly bypassPrompts: number;
  /** Means over harmless prompts, all of them or those of the gate; NaN if the budget did not reach it. */
  readonly induce: number;
  readonly kl: number;
  readonly rejected: readonly Rejection[];
}

export interface DirectionScoring {
  readonly evaluator: Evaluator;
  readonly nLayers: number;
  readonly maxBankEdits: number;
  readonly harmful: readonly PreparedPrompt[];
  readonly harmless: readonly PreparedPrompt[];
  /** Evaluations to spend, about. */
  readonly budget: number;
  readonly onProgress: (detail: string) => void;
}

/** What about a minute of a small model on two cores pays for: an ablation at every layer shares nothing with any other evaluation. */
export const DEFAULT_BUDGET = 600;
/** Shares of the budget: probing all, refining each layer's best, gating the best by KL and induce, and the rest for finalists. */
const PROBE_SHARE = 0.4;
const REFINE_SHARE = 0.2;
const GATE_SHARE = 0.15;
const FINAL_SHARE = 0.25;
/** Positions of a layer that are refined. */
const REFINED_A_LAYER = 2;
/** Harmless prompts at the gate: few, because a direction that breaks the model breaks it on any. */
const GATE_PROMPTS = 2;
/** If no finalist is selected, the next best that passed the gate are scored, so often in all. */
const FINAL_ROUNDS = 2;
/** Arditi et al. 2024, appendix C: the last fifth of the layers is left out, KL at most 0.1, induce at least 0. */
export const LAYER_SHARE = 0.8;
export const MAX_KL = 0.1;
export const MIN_INDUCE = 0;
/** Bounds the rows of one bank: with an edit at every layer they are many. */
const MAX_DIRECTIONS_A_BANK = 16;

interface Draft {
  readonly direction: Direction;
  bypass: number;
  bypassPrompts: number;
  induce: number;
  kl: number;
  /** How many prompts `induce` and `kl` are the means of. */
  harmlessPrompts: number;
  isFullyScored: boolean;
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
const isFiniteDirection = ({ vector, rawNorm }: Direction): boolean =>
  Number.isFinite(rawNorm) && rawNorm > 0 && vector.every(Number.isFinite);
const clamp = (value: number, low: number, high: number): number => Math.min(Math.max(value, low), high);
const byBypass = (a: Draft, b: Draft): number =>
  a.bypass - b.bypass || a.direction.layer - b.direction.layer || b.direction.position - a.direction.position;

/** In the order of `directions`. */
export async function scoreDirections(
  scoring: DirectionScoring,
  directions: readonly Direction[],
): Promise<ScoredDirection[]> {
  const drafts = directions.map(
    (direction): Draft => ({
      direction,
      bypass: NaN,
      bypassPrompts: 0,
      induce: NaN,
      kl: NaN,
      harmlessPrompts: 0,
      isFullyScored: false,
    }),
  );
  const usable = drafts.filter(({ direction }) => isFiniteDirection(direction));
  const plan = planRounds(scoring, usable.length);
  await scoreBypass(scoring, usable, plan.probePrompts);
  scoring.onProgress(`${usable.length} directions on ${plan.probePrompts} prompts`);
  const refined = bestOfEachLayer(usable, REFINED_A_LAYER);
  await scoreBypass(scoring, refined, plan.refinePrompts);
  scoring.onProgress(`${refined.length} directions on ${plan.refinePrompts} prompts`);
  const gated = rankEligible(usable, scoring.nLayers).slice(0, plan.gated);
  await scoreInduceAndKl(scoring, gated, plan.gatePrompts);
  scoring.onProgress(`${gated.length} directions at the gate`);
  await scoreFinalists(scoring, gated, plan.finalists);
  return drafts.map((draft) => ({ ...draft, rejected: rejectionsOf(draft, scoring.nLayers) }));
}

interface RoundPlan {
  readonly probePrompts: number;
  readonly refinePrompts: number;
  readonly gated: number;
  readonly gatePrompts: number;
  readonly finalists: number;
}

/** All three scores of all if the budget allows, otherwise the four rounds. */
export function planRounds(
  { harmful, harmless, budget, nLayers }: Pick<DirectionScoring, 'harmful' | 'harmless' | 'budget' | 'nLayers'>,
  count: number,
): RoundPlan {
  const all = harmful.length;
  const fullPrice = harmful.length + 2 * harmless.length;
  if (count * fullPrice <= budget)
    return { probePrompts: all, refinePrompts: all, gated: count, gatePrompts: harmless.length, finalists: count };
  const probePrompts = clamp(Math.floor((PROBE_SHARE * budget) / count), 1, all);
  const more = Math.floor((REFINE_SHARE * budget) / (REFINED_A_LAYER * nLayers));
  const gatePrompts = Math.min(GATE_PROMPTS, harmless.length);
  return {
    probePrompts,
    refinePrompts: clamp(probePrompts + more, probePrompts, all),
    gated: Math.max(Math.floor((GATE_SHARE * budget) / (2 * gatePrompts)), 1),
    gatePrompts,
    finalists: Math.max(Math.floor((FINAL_SHARE * budget) / (FINAL_ROUNDS * fullPrice)), 1),
  };
}

/** Those that may be selected; first those measured on the most prompts, among them every layer's best. */
function rankEligible(drafts: readonly Draft[], nLayers: number): Draft[] {
  return drafts
    .filter(({ direction, bypass }) => direction.layer < LAYER_SHARE * nLayers && Number.isFinite(bypass))
    .sort((a, b) => b.bypassPrompts - a.bypassPrompts || byBypass(a, b));
}

async function scoreFinalists(scoring: DirectionScoring, gated: readonly Draft[], count: number): Promise<void> {
  const passed = gated.filter((draft) => limitsBroken(draft).length === 0).sort(byBypass);
  for (let round = 0; round < FINAL_ROUNDS; round++) {
    const finalists = passed.slice(round * count, (round + 1) * count);
    if (finalists.length === 0) return;
    await scoreBypass(scoring, finalists, scoring.harmful.length);
    await scoreInduceAndKl(scoring, finalists, scoring.harmless.length);
    for (const draft of finalists) draft.isFullyScored = true;
    scoring.onProgress(`${finalists.length} finalists`);
    if (finalists.some((draft) => rejectionsOf(draft, scoring.nLayers).length === 0)) return;
  }
}

async function scoreBypass(scoring: DirectionScoring, drafts: readonly Draft[], prompts: number): Promise<void> {
  const wanting = drafts.filter(({ bypassPrompts }) => bypassPrompts < prompts);
  const results = await evaluateAblated(scoring, wanting, scoring.harmful.slice(0, prompts), false);
  for (const [i, draft] of wanting.entries()) {
    draft.bypass = mean(results[i]!.map(({ refusalScore }) => refusalScore));
    draft.bypassPrompts = prompts;
  }
}

async function scoreInduceAndKl(scoring: DirectionScoring, drafts: readonly Draft[], prompts: number): Promise<void> {
  const wanting = drafts.filter(({ harmlessPrompts }) => harmlessPrompts < prompts);
  const harmless = scoring.harmless.slice(0, prompts);
  const ablated = await evaluateAblated(scoring, wanting, harmless, true);
  const induced = await evaluateEdits(
    scoring,
    addAtOwnLayer(wanting.map(({ direction }) => direction)),
    harmless,
    false,
  );
  for (const [i, draft] of wanting.entries()) {
    draft.kl = mean(ablated[i]!.map(({ firstTokenKl }) => firstTokenKl ?? NaN));
    draft.induce = mean(induced[i]!.map(({ refusalScore }) => refusalScore));
    draft.harmlessPrompts = prompts;
  }
}

/** By draft: its evaluations on the prompts, in order. */
async function evaluateAblated(
  scoring: DirectionScoring,
  drafts: readonly Draft[],
  prompts: readonly PreparedPrompt[],
  firstTokenKl: boolean,
): Promise<Evaluation[][]> {
  const perBank = clamp(Math.floor(scoring.maxBankEdits / scoring.nLayers), 1, MAX_DIRECTIONS_A_BANK);
  const results: Evaluation[][] = [];
  for (let start = 0; start < drafts.length; start += perBank) {
    const part = drafts.slice(start, start + perBank).map(({ direction }) => direction);
    const edits = ablateEverywhere(part, scoring.nLayers);
    results.push(...(await evaluateEdits(scoring, edits, prompts, firstTokenKl)));
  }
  return results;
}

async function evaluateEdits(
  { evaluator }: DirectionScoring,
  { bank, on }: DirectionEdits,
  prompts: readonly PreparedPrompt[],
  firstTokenKl: boolean,
): Promise<Evaluation[][]> {
  const asks = on.flatMap((edits) => prompts.map((prompt): Ask => ({ prompt, bank, on: edits })));
  const evaluations = await evaluator.evaluate(asks, { firstTokenKl });
  return on.map((_, i) => evaluations.slice(i * prompts.length, (i + 1) * prompts.length));
}

function bestOfEachLayer(drafts: readonly Draft[], count: number): Draft[] {
  const byLayer = new Map<number, Draft[]>();
  for (const draft of drafts)
    byLayer.set(draft.direction.layer, [...(byLayer.get(draft.direction.layer) ?? []), draft]);
  return [...byLayer.values()].flatMap((layer) => layer.sort(byBypass).slice(0, count));
}

/** Which limits the scores break, on however many prompts they were measured. */
function limitsBroken({ bypass, induce, kl }: Draft): Rejection[] {
  if (![bypass, induce, kl].every(Number.isFinite)) return ['not-finite'];
  const broken: Rejection[] = [];
  if (kl > MAX_KL) broken.push('kl');
  if (induce < MIN_INDUCE) broken.push('induce');
  return broken;
}

function rejectionsOf(draft: Draft, nLayers: number): Rejection[] {
  const isLate = draft.direction.layer >= LAYER_SHARE * nLayers;
  const late: Rejection[] = isLate ? ['layer'] : [];
  if (!Number.isFinite(draft.bypass)) return [...late, 'not-finite'];
  const broken = draft.harmlessPrompts > 0 ? limitsBroken(draft) : [];
  if (draft.isFullyScored || isLate || broken.length > 0) return [...late, ...broken];
  return ['not-scored'];
}
