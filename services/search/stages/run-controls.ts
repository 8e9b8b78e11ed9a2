/**
 * Controls: would just any edit of that size flip the prompt? Random features at the set's layers, random features that are active on
 * the prompt, the set's own edits turned in random directions, and the selected direction ablated everywhere.
 */

import { fault } from '../../../shared/errors/fault.js';
import { createSeededRandom, type SeededRandom } from '../../../shared/random/seeded-random.js';
import { type FeatureId, formatFeature } from '../../../shared/tensors/feature-name.js';
import type { Positions } from '../../../shared/tensors/positions.js';
import { ablateEverywhere, type DirectionEdits } from '../directions/direction-edits.js';
import type { Direction } from '../directions/mean-difference.js';
import { EMPTY_BANK } from '../model/bank.js';
import type { Ask, EvaluationRecord, PreparedPrompt } from '../model/evaluator.js';
import { assertDistinctFeatures, createFeatureBank } from '../model/feature-bank.js';
import type { ScoreSpec } from '../model/model-port.js';
import { groupByLayer, readActivations } from '../model/read-activations.js';
import { openScoring, type Scoring, type SearchContext } from '../model/scoring.js';
import { type ControlArm, type ScoredEdit, summariseArm } from './control-arm.js';
import { rotateBank } from './random-rotation.js';
import type { FlipCase } from './verify-flips.js';

export interface RunControlsRequest {
  readonly model: string;
  readonly cases: readonly FlipCase[];
  readonly score: ScoreSpec;
  readonly positions: Positions;
  readonly draws: number;
  readonly seed: number;
  /** SAE layers from which active features are drawn; empty: the set's own. */
  readonly layers: readonly number[];
  readonly direction: Direction | undefined;
  readonly known: readonly EvaluationRecord[];
}

export interface Controls {
  readonly randomFeatures: ControlArm;
  readonly randomActiveFeatures: ControlArm;
  readonly randomDirections: ControlArm;
  readonly directionAblation: ControlArm | undefined;
}

export const DEFAULT_DRAWS = 5;

const ARMS = ['randomFeatures', 'randomActiveFeatures', 'randomDirections', 'directionAblation'] as const;
type Arm = (typeof ARMS)[number];

interface Draw {
  readonly arm: Arm;
  readonly ask: Ask;
}

interface Outcome extends ScoredEdit {
  readonly arm: Arm;
}

export async function runControls(context: SearchContext, request: RunControlsRequest): Promise<Controls> {
  const scoring = await openScoring(context, { ...request, prompts: request.cases.map(({ prompt }) => prompt) });
  for (const { prompt, set } of request.cases) assertDistinctFeatures(set, `The set of prompt ${prompt.id}`);
  const widths = new Map((await context.saes.list(context.signal)).map(({ layer, dSae }) => [layer, dSae]));
  const ablation = request.direction && ablateEverywhere([request.direction], scoring.facts.nLayers);
  const outcomes: Outcome[] = [];
  for (const [i, flipCase] of request.cases.entries()) {
    const prompt = scoring.prompts[i]!;
    const random = createSeededRandom(request.seed).fork(`controls ${prompt.prompt.id}`);
    const draws = [
      ...(await drawFeatures(context, request, prompt, flipCase, widths, random)),
      ...(await drawDirections(context, request, prompt, flipCase, random)),
      ...ablationDraws(prompt, ablation),
    ];
    outcomes.push(...(await evaluateDraws(scoring, prompt, draws)));
    scoring.progress('controls', i + 1, request.cases.length);
  }
  const arm = (name: Arm) => summariseArm(outcomes.filter((outcome) => outcome.arm === name));
  return {
    randomFeatures: arm('randomFeatures'),
    randomActiveFeatures: arm('randomActiveFeatures'),
    randomDirections: arm('randomDirections'),
    directionAblation: ablation && arm('directionAblation'),
  };
}

async function evaluateDraws(scoring: Scoring, prompt: PreparedPrompt, draws: readonly Draw[]): Promise<Outcome[]> {
  const clean: Ask = { prompt, bank: EMPTY_BANK, on: [] };
  const [first, ...evaluations] = await scoring.evaluator.evaluate([clean, ...draws.map(({ ask }) => ask)]);
  return draws.map(({ arm }, i) => ({ arm, evaluation: evaluations[i]!, cleanScore: first!.refusalScore }));
}

/** Both feature arms in one bank. Members of the set are never drawn. */
async function drawFeatures(
  context: SearchContext,
  request: RunControlsRequest,
  prompt: PreparedPrompt,
  { set }: FlipCase,
  widths: ReadonlyMap<number, number>,
  random: SeededRandom,
): Promise<Draw[]> {
  const active = await activeFeatures(context, request, prompt, set);
  const drawn = Array.from({ length: request.draws }, (_, draw) => [
    { arm: 'randomFeatures' as const, off: drawAtOwnLayers(set, widths, random.fork(`features ${draw}`)) },
    { arm: 'randomActiveFeatures' as const, off: random.fork(`active ${draw}`).pick(active, set.length) },
  ]).flat();
  const { bank, edits } = await createFeatureBank(
    context,
    drawn.flatMap(({ off }) => off),
    request.positions,
  );
  return drawn.map(({ arm, off }) => ({ arm, ask: { prompt, bank, on: edits(off) } }));
}

function drawAtOwnLayers(
  set: readonly FeatureId[],
  widths: ReadonlyMap<number, number>,
  random: SeededRandom,
): FeatureId[] {
  return [...groupByLayer(set)].flatMap(([layer, members]) => {
    const width = widths.get(layer);
    if (width === undefined) throw fault('SAE_UNKNOWN', `Layer ${layer} of the set has no SAE to draw features from.`);
    const taken = new Set(members);
    const others = Array.from({ length: width }, (_, index) => index).filter((index) => !taken.has(index));
    return random.pick(others, members.length).map((index) => ({ layer, index }));
  });
}

async function activeFeatures(
  context: SearchContext,
  { layers, positions }: RunControlsRequest,
  prompt: PreparedPrompt,
  set: readonly FeatureId[],
): Promise<FeatureId[]> {
  const chosen = layers.length > 0 ? layers : [...groupByLayer(set).keys()];
  const whole = new Map(chosen.map((layer) => [layer, undefined]));
  const { peaks } = await readActivations(context, { prompt, positions, layers: whole });
  const members = new Set(set.map(formatFeature));
  return [...peaks].filter(([name]) => !members.has(name)).map(([, { layer, index }]) => ({ layer, index }));
}

async function drawDirections(
  context: SearchContext,
  { positions, draws }: RunControlsRequest,
  prompt: PreparedPrompt,
  { set }: FlipCase,
  random: SeededRandom,
): Promise<Draw[]> {
  const own = await createFeatureBank(context, set, positions);
  const { bank, on } = rotateBank(own.bank, draws, random.fork('directions'));
  return on.map((edits) => ({ arm: 'randomDirections' as const, ask: { prompt, bank, on: edits } }));
}

const ablationDraws = (prompt: PreparedPrompt, ablation: DirectionEdits | undefined): Draw[] =>
  ablation === undefined
    ? []
    : [{ arm: 'directionAblation', ask: { prompt, bank: ablation.bank, on: ablation.on[0]! } }];
