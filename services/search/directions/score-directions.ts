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
  /** NaN if the budget did not reach it. */
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

/** What half a minute to a minute of a small model on two cores pays for. */
export const DEFAULT_BUDGET = 1_000;
/** Shares of the budget: probing all, refining each layer's best, and the rest for finalists. */
const PROBE_SHARE = 0.4;
const REFINE_SHARE = 0.25;
const FINAL_SHARE = 0.35;
/** Positions of a layer that are refined. */
const REFINED_A_LAYER = 2;
/** If every finalist is filtered out, the next best are tried, so often in all. */
const FINAL_ROUNDS = 3;
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
  scored: boolean;
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
    (direction): Draft => ({ direction, bypass: NaN, bypassPrompts: 0, induce: NaN, kl: NaN, scored: false }),
  );
  const usable = drafts.filter(({ direction }) => isFiniteDirection(direction));
  const plan = planRounds(scoring, usable.length);
  await scoreBypass(scoring, usable, plan.probePrompts);
  scoring.onProgress(`${usable.length} directions on ${plan.probePrompts} prompts`);
  const refined = bestOfEachLayer(usable, REFINED_A_LAYER);
  await scoreBypass(scoring, refined, plan.refinePrompts);
  scoring.onProgress(`${refined.length} directions on ${plan.refinePrompts} prompts`);
  await scoreFinalists(scoring, usable, plan.finalists);
  return drafts.map((draft) => ({ ...draft, rejected: rejectionsOf(draft, scoring.nLayers) }));
}

interface RoundPlan {
  readonly probePrompts: number;
  readonly refinePrompts: number;
  readonly finalists: number;
}

/** All three scores of all if the budget allows, otherwise the three rounds. */
export function planRounds(
  { harmful, harmless, budget, nLayers }: Pick<DirectionScoring, 'harmful' | 'harmless' | 'budget' | 'nLayers'>,
  count: number,
): RoundPlan {
  const all = harmful.length;
  const fullPrice = harmful.length + 2 * harmless.length;
  if (count * fullPrice <= budget) return { probePrompts: all, refinePrompts: all, finalists: Math.max(count, 1) };
  const probePrompts = clamp(Math.floor((PROBE_SHARE * budget) / count), 1, all);
  const more = Math.floor((REFINE_SHARE * budget) / (REFINED_A_LAYER * nLayers));
  return {
    probePrompts,
    refinePrompts: clamp(probePrompts + more, probePrompts, all),
    finalists: Math.max(Math.floor((FINAL_SHARE * budget) / fullPrice), 1),
  };
}

async function scoreFinalists(scoring: DirectionScoring, usable: readonly Draft[], count: number): Promise<void> {
  const mayBeSelected = ({ direction }: Draft) => direction.layer < LAYER_SHARE * scoring.nLayers;
  // One that was refined is known better than one that was merely probed, and no layer's best is missing among them.
  const most = Math.max(0, ...usable.map(({ bypassPrompts }) => bypassPrompts));
  const eligible = usable.filter(mayBeSelected);
  const ranked = [
    ...eligible.filter(({ bypassPrompts }) => bypassPrompts === most).sort(byBypass),
    ...eligible.filter(({ bypassPrompts }) => bypassPrompts < most).sort(byBypass),
  ];
  for (let round = 0; round < FINAL_ROUNDS; round++) {
    const finalists = ranked.slice(round * count, (round + 1) * count);
    if (finalists.length === 0) return;
    await scoreBypass(scoring, finalists, scoring.harmful.length);
    await scoreInduceAndKl(scoring, finalists);
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

async function scoreInduceAndKl(scoring: DirectionScoring, drafts: readonly Draft[]): Promise<void> {
  const ablated = await evaluateAblated(scoring, drafts, scoring.harmless, true);
  const edits = addAtOwnLayer(drafts.map(({ direction }) => direction));
  const induced = await evaluateEdits(scoring, edits, scoring.harmless, false);
  for (const [i, draft] of drafts.entries()) {
    draft.kl = mean(ablated[i]!.map(({ firstTokenKl }) => firstTokenKl ?? NaN));
    draft.induce = mean(induced[i]!.map(({ refusalScore }) => refusalScore));
    draft.scored = true;
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

function rejectionsOf(draft: Draft, nLayers: number): Rejection[] {
  const rejections: Rejection[] = [];
  if (draft.direction.layer >= LAYER_SHARE * nLayers) rejections.push('layer');
  const numbers = draft.scored ? [draft.bypass, draft.induce, draft.kl] : [draft.bypass];
  if (!isFiniteDirection(draft.direction) || !numbers.every(Number.isFinite)) rejections.push('not-finite');
  else if (!draft.scored && rejections.length === 0) rejections.push('not-scored');
  if (draft.kl > MAX_KL) rejections.push('kl');
  if (draft.induce < MIN_INDUCE) rejections.push('induce');
  return rejections;
}
