/**
 * Scores directions by induce, bypass and KL (Arditi et al. 2024, appendix C) within a budget of evaluations. All three scores of
 * every direction on every held-out prompt would cost tens of thousands of full forward passes. So all directions are probed by
 * induce, the cheapest (it edits one layer, what lies below is shared) and a filter anyhow; bypass and KL are taken of the best, and
 * only those that break no limit get all three on all prompts. The order is fixed: no chance is involved.
 */
import type { Ask, Evaluator, PreparedPrompt } from '../model/evaluator.js';
import type { Evaluation } from '../model/model-port.js';
import { ablateEverywhere, addAtOwnLayer, type DirectionEdits } from './direction-edits.js';
import type { Direction } from './mean-difference.js';

export type Rejection = 'layer' | 'kl' | 'induce' | 'not-finite' | 'not-scored';

export interface ScoredDirection {
  readonly direction: Direction;
  /** Mean refusal score of harmless prompts with the mean difference added, on the prompts that every direction was probed with. */
  readonly probeInduce: number;
  /** The same on as many prompts as the budget reached. NaN if there is no finite vector. */
  readonly induce: number;
  /** Mean refusal score of harmful prompts with it ablated at every layer; NaN if the budget did not reach it. */
  readonly bypass: number;
  /** Mean KL(clean || ablated) of harmless prompts, nats; NaN likewise. */
  readonly kl: number;
  /** Empty if it may be selected. */
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

/** What about a minute of a small model on two cores pays for. */
export const DEFAULT_BUDGET = 600;
/** Shares of the budget: the probe of all, the gate of the best, and the rest for finalists. */
const PROBE_SHARE = 0.6;
const GATE_SHARE = 0.2;
const FINAL_SHARE = 0.2;
/** Prompts of each label at the gate: few, because a direction that breaks the model breaks it on any. */
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
  probeInduce: number;
  induce: number;
  inducePrompts: number;
  bypass: number;
  kl: number;
  /** Of each label, for bypass and KL. */
  ablatedPrompts: number;
  isFullyScored: boolean;
}

const createDraft = (direction: Direction): Draft => ({
  direction,
  probeInduce: NaN,
  induce: NaN,
  inducePrompts: 0,
  bypass: NaN,
  kl: NaN,
  ablatedPrompts: 0,
  isFullyScored: false,
});

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
const isFiniteDirection = ({ vector, rawNorm }: Direction): boolean =>
  Number.isFinite(rawNorm) && rawNorm > 0 && vector.every(Number.isFinite);
const clamp = (value: number, low: number, high: number): number => Math.min(Math.max(value, low), high);
const byPlace = (a: Draft, b: Draft): number =>
  a.direction.layer - b.direction.layer || b.direction.position - a.direction.position;
const byInduce = (a: Draft, b: Draft): number => b.probeInduce - a.probeInduce || byPlace(a, b);
const byBypass = (a: Draft, b: Draft): number => a.bypass - b.bypass || byPlace(a, b);

/** In the order of `directions`. */
export async function scoreDirections(
  scoring: DirectionScoring,
  directions: readonly Direction[],
): Promise<ScoredDirection[]> {
  const drafts = directions.map(createDraft);
  const usable = drafts.filter(({ direction }) => isFiniteDirection(direction));
  const plan = planRounds(scoring, usable.length);
  await scoreInduce(scoring, usable, plan.probePrompts);
  for (const draft of usable) draft.probeInduce = draft.induce;
  scoring.onProgress(`${usable.length} directions probed`);
  const gated = chooseGated(usable, scoring.nLayers, plan.gated);
  await scoreAblation(scoring, gated, plan.gatePrompts);
  scoring.onProgress(`${gated.length} directions at the gate`);
  await scoreFinalists(scoring, gated, plan.finalists);
  return drafts.map((draft) => ({ ...draft, rejected: rejectionsOf(draft, scoring.nLayers) }));
}

interface RoundPlan {
  readonly probePrompts: number;
  readonly gated: number;
  readonly gatePrompts: number;
  readonly finalists: number;
}

/** All three scores of all if the budget allows, otherwise the three rounds. */
export function planRounds(
  { harmful, harmless, budget, nLayers }: Pick<DirectionScoring, 'harmful' | 'harmless' | 'budget' | 'nLayers'>,
  count: number,
): RoundPlan {
  const most = Math.max(harmful.length, harmless.length);
  const fullPrice = harmful.length + 2 * harmless.length;
  if (count * fullPrice <= budget)
    return { probePrompts: harmless.length, gated: count, gatePrompts: most, finalists: count };
  return {
    probePrompts: clamp(Math.floor((PROBE_SHARE * budget) / count), 1, harmless.length),
    gated: Math.max(Math.floor((GATE_SHARE * budget) / (2 * GATE_PROMPTS)), nLayers),
    gatePrompts: Math.min(GATE_PROMPTS, most),
    finalists: Math.max(Math.floor((FINAL_SHARE * budget) / (FINAL_ROUNDS * fullPrice)), 1),
  };
}

/** Each layer's best by induce, for the picture over layers; then the best of those that may be selected. */
function chooseGated(usable: readonly Draft[], nLayers: number, count: number): Draft[] {
  if (count >= usable.length) return [...usable];
  const ranked = [...usable].sort(byInduce);
  const layers = new Set<number>();
  const bests = ranked.filter(({ direction }) => !layers.has(direction.layer) && layers.add(direction.layer));
  const rest = ranked.filter((draft) => !bests.includes(draft) && rejectionsOf(draft, nLayers)[0] === 'not-scored');
  return [...bests, ...rest].slice(0, count);
}

async function scoreFinalists(scoring: DirectionScoring, gated: readonly Draft[], count: number): Promise<void> {
  const passed = gated.filter((draft) => rejectionsOf(draft, scoring.nLayers)[0] === 'not-scored').sort(byBypass);
  for (let round = 0; round < FINAL_ROUNDS; round++) {
    const finalists = passed.slice(round * count, (round + 1) * count);
    if (finalists.length === 0) return;
    await scoreInduce(scoring, finalists, scoring.harmless.length);
    await scoreAblation(scoring, finalists, Math.max(scoring.harmful.length, scoring.harmless.length));
    for (const draft of finalists) draft.isFullyScored = true;
    scoring.onProgress(`${finalists.length} finalists`);
    if (finalists.some((draft) => rejectionsOf(draft, scoring.nLayers).length === 0)) return;
  }
}

async function scoreInduce(scoring: DirectionScoring, drafts: readonly Draft[], prompts: number): Promise<void> {
  const wanting = drafts.filter(({ inducePrompts }) => inducePrompts < prompts);
  const edits = addAtOwnLayer(wanting.map(({ direction }) => direction));
  const results = await evaluateEdits(scoring, edits, scoring.harmless.slice(0, prompts), false);
  for (const [i, draft] of wanting.entries()) {
    draft.induce = mean(results[i]!.map(({ refusalScore }) => refusalScore));
    draft.inducePrompts = prompts;
  }
}

/** Bypass on harmful and KL on harmless prompts, `prompts` of each where there are so many. */
async function scoreAblation(scoring: DirectionScoring, drafts: readonly Draft[], prompts: number): Promise<void> {
  const wanting = drafts.filter(({ ablatedPrompts }) => ablatedPrompts < prompts);
  const harmful = await evaluateAblated(scoring, wanting, scoring.harmful.slice(0, prompts), false);
  const harmless = await evaluateAblated(scoring, wanting, scoring.harmless.slice(0, prompts), true);
  for (const [i, draft] of wanting.entries()) {
    draft.bypass = mean(harmful[i]!.map(({ refusalScore }) => refusalScore));
    draft.kl = mean(harmless[i]!.map(({ firstTokenKl }) => firstTokenKl ?? NaN));
    draft.ablatedPrompts = prompts;
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

/** Why it cannot be selected, by the scores it has, on however many prompts they were measured. */
function rejectionsOf(draft: Draft, nLayers: number): Rejection[] {
  const { direction, induce, bypass, kl } = draft;
  const rejections: Rejection[] = direction.layer >= LAYER_SHARE * nLayers ? ['layer'] : [];
  const measured = draft.ablatedPrompts > 0 ? [induce, bypass, kl] : [induce];
  if (!measured.every(Number.isFinite)) return [...rejections, 'not-finite'];
  if (kl > MAX_KL) rejections.push('kl');
  if (induce < MIN_INDUCE) rejections.push('induce');
  return rejections.length > 0 || draft.isFullyScored ? rejections : ['not-scored'];
}
