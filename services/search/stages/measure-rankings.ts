/**
 * How far simple rankings get: the first K features of each off together, for a few K, on every prompt. Beside them features that are
 * active on the prompt in random order, and the direction ablated at every layer, which has no K.
 */

import { fault } from '../../../shared/errors/fault.js';
import { createSeededRandom } from '../../../shared/random/seeded-random.js';
import { compareFeatures, type FeatureId, formatFeature } from '../../../shared/tensors/feature-name.js';
import type { Positions } from '../../../shared/tensors/positions.js';
import { ablateEverywhere, type DirectionEdits } from '../directions/direction-edits.js';
import type { Direction } from '../directions/mean-difference.js';
import { EMPTY_BANK } from '../model/bank.js';
import type { Ask, EvaluationRecord, PreparedPrompt } from '../model/evaluator.js';
import { assertDistinctFeatures, createFeatureBank, type FeatureBank } from '../model/feature-bank.js';
import type { Prompt, ScoreSpec } from '../model/model-port.js';
import { readActivations } from '../model/read-activations.js';
import { openScoring, type Scoring, type SearchContext } from '../model/scoring.js';
import { type ControlArm, type ScoredEdit, summariseArm } from './control-arm.js';
import type { NamedSet } from './measure-cost.js';

export interface MeasureRankingsRequest {
  readonly model: string;
  readonly prompts: readonly Prompt[];
  readonly score: ScoreSpec;
  readonly positions: Positions;
  readonly rankings: readonly NamedSet[];
  /** Ascending; a ranking that is shorter ends with a point of all its features. */
  readonly counts: readonly number[];
  /** Layers whose active features are taken in random order; empty: not done. */
  readonly randomLayers: readonly number[];
  readonly seed: number;
  readonly direction: Direction | undefined;
  readonly known: readonly EvaluationRecord[];
}

export interface RankingPoint {
  readonly features: number;
  readonly arm: ControlArm;
}

export interface RankingMeasurements {
  readonly rankings: readonly { readonly name: string; readonly points: readonly RankingPoint[] }[];
  /** Prompts with fewer active features than a count are not in its total. */
  readonly randomActive: readonly RankingPoint[];
  readonly directionAblation: ControlArm | undefined;
}

const MAX_COUNTS = 64;
/** A bank is one message: at a width of 4096 this many edits are half of the most that a message holds. Beyond it each ranking has its own. */
const MAX_SHARED_EDITS = 2048;
const RANDOM = 'random active';
const DIRECTION = 'direction';

/** One mask of one prompt; `features` is 0 for the direction. */
interface Draw {
  readonly name: string;
  readonly features: number;
  readonly ask: Ask;
}

interface Outcome extends ScoredEdit {
  readonly name: string;
  readonly features: number;
}

export async function measureRankings(
  context: SearchContext,
  request: MeasureRankingsRequest,
): Promise<RankingMeasurements> {
  const { rankings, counts } = request;
  assertCounts(counts);
  for (const { name, features } of rankings) assertDistinctFeatures(features, `The ranking ${name}`);
  const scoring = await openScoring(context, request);
  const banks = await createBanks(context, request);
  const ablation = request.direction && ablateEverywhere([request.direction], scoring.facts.nLayers);
  const outcomes: Outcome[] = [];
  for (const [i, prompt] of scoring.prompts.entries()) {
    const draws = [
      ...rankings.flatMap(({ name, features }, place) =>
        drawFirst(`${place} ${name}`, prompt, banks[place]!, features, countsWithin(counts, features.length)),
      ),
      ...(await drawRandom(context, request, prompt)),
      ...drawDirection(prompt, ablation),
    ];
    outcomes.push(...(await evaluateDraws(scoring, prompt, draws)));
    scoring.progress('rankings', i + 1, scoring.prompts.length);
  }
  const pointsOf = (name: string) => describePoints(outcomes.filter((outcome) => outcome.name === name));
  const ablated = outcomes.filter(({ name }) => name === DIRECTION);
  return {
    rankings: rankings.map(({ name }, place) => ({ name, points: pointsOf(`${place} ${name}`) })),
    randomActive: pointsOf(RANDOM),
    directionAblation: ablation && summariseArm(ablated),
  };
}

function assertCounts(counts: readonly number[]): void {
  const ascending = counts.every((count, i) => Number.isInteger(count) && count > (counts[i - 1] ?? 0));
  if (counts.length > 0 && counts.length <= MAX_COUNTS && ascending) return;
  throw fault(
    'REQUEST_INVALID',
    `The counts are ${counts.join(', ') || 'none'}; they must be 1 to ${MAX_COUNTS} ascending whole numbers above 0.`,
  );
}

/** One a ranking; the same for all where they fit in one, so that masks of all rankings share their batches. */
async function createBanks(
  context: SearchContext,
  { rankings, counts, positions }: MeasureRankingsRequest,
): Promise<FeatureBank[]> {
  const used = rankings.map(({ features }) => features.slice(0, counts.at(-1)));
  const distinct = new Set(used.flat().map(formatFeature)).size;
  if (distinct > MAX_SHARED_EDITS)
    return Promise.all(used.map((features) => createFeatureBank(context, features, positions)));
  const shared = await createFeatureBank(context, used.flat(), positions);
  return used.map(() => shared);
}

/** The counts that there are enough features for, and all of them in place of the first one that there are not. */
const countsWithin = (counts: readonly number[], available: number): number[] => [
  ...new Set(counts.map((count) => Math.min(count, available))),
];

const drawFirst = (
  name: string,
  prompt: PreparedPrompt,
  { bank, edits }: FeatureBank,
  features: readonly FeatureId[],
  counts: readonly number[],
): Draw[] =>
  counts
    .filter((count) => count <= features.length)
    .map((count) => ({ name, features: count, ask: { prompt, bank, on: edits(features.slice(0, count)) } }));

/** Another order for every prompt. The features are sorted first: they come in the order of the positions. */
async function drawRandom(
  context: SearchContext,
  { randomLayers, positions, counts, seed }: MeasureRankingsRequest,
  prompt: PreparedPrompt,
): Promise<Draw[]> {
  if (randomLayers.length === 0) return [];
  const layers = new Map(randomLayers.map((layer) => [layer, undefined]));
  const { peaks } = await readActivations(context, { prompt, positions, layers });
  const active = [...peaks.values()].map(({ layer, index }) => ({ layer, index })).sort(compareFeatures);
  const random = createSeededRandom(seed).fork(`random active ${prompt.prompt.id}`);
  const drawn = random.pick(active, counts.at(-1)!);
  const bank = await createFeatureBank(context, drawn, positions);
  return drawFirst(RANDOM, prompt, bank, drawn, counts);
}

const drawDirection = (prompt: PreparedPrompt, ablation: DirectionEdits | undefined): Draw[] =>
  ablation === undefined
    ? []
    : [{ name: DIRECTION, features: 0, ask: { prompt, bank: ablation.bank, on: ablation.on[0]! } }];

async function evaluateDraws(scoring: Scoring, prompt: PreparedPrompt, draws: readonly Draw[]): Promise<Outcome[]> {
  const clean: Ask = { prompt, bank: EMPTY_BANK, on: [] };
  const [first, ...evaluations] = await scoring.evaluator.evaluate([clean, ...draws.map(({ ask }) => ask)]);
  const cleanScore = first!.refusalScore;
  return draws.map(({ name, features }, i) => ({ name, features, evaluation: evaluations[i]!, cleanScore }));
}

/** By the number of features off, ascending. */
function describePoints(outcomes: readonly Outcome[]): RankingPoint[] {
  const counts = [...new Set(outcomes.map(({ features }) => features))].sort((a, b) => a - b);
  return counts.map((features) => ({
    features,
    arm: summariseArm(outcomes.filter((outcome) => outcome.features === features)),
  }));
}
