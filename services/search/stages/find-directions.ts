/**
 * Stage 1a: prompts whose label and clean score agree are split by the seed; the larger part gives the means, the rest scores the
 * directions; the one that bypasses refusal best, harms harmless prompts little and induces refusal is selected.
 */
import { fault } from '../../../shared/errors/fault.js';
import { createSeededRandom } from '../../../shared/random/seeded-random.js';
import type { Matrix } from '../../../shared/tensors/matrix.js';
import { createMeanDifference, type Direction } from '../directions/mean-difference.js';
import { type ScoredDirection, scoreDirections } from '../directions/score-directions.js';
import { EMPTY_BANK } from '../model/bank.js';
import { type EvaluationRecord, type PreparedPrompt, throwIfAborted } from '../model/evaluator.js';
import type { CapturedPrompt, ScoreSpec } from '../model/model-port.js';
import { assertPromptSet, type LabelledPrompt } from '../model/prompt-set.js';
import { openScoring, type Scoring, type SearchContext } from '../model/scoring.js';

export interface FindDirectionsRequest {
  readonly model: string;
  readonly prompts: readonly LabelledPrompt[];
  readonly score: ScoreSpec;
  /** 0: a quarter of each label, at most MAX_HELD_OUT. */
  readonly heldOutPerLabel: number;
  /** -k..-1; empty: every template position after the instruction. */
  readonly positions: readonly number[];
  readonly seed: number;
  readonly known: readonly EvaluationRecord[];
  /** Evaluations to spend on scoring, about. */
  readonly budget: number;
}

export interface DirectionSearch {
  readonly directions: readonly ScoredDirection[];
  readonly selected: number | undefined;
  /** Index of each layer's best position by induce, by layer ascending; a layer without a finite direction is absent. */
  readonly bestByLayer: readonly number[];
  readonly fit: Counts;
  readonly heldOut: Counts;
  readonly dropped: number;
}

export interface Counts {
  readonly harmful: number;
  readonly harmless: number;
}

/** Arditi et al. validate on 32 of each label. */
const MAX_HELD_OUT = 32;
const PROMPTS_A_CAPTURE = 16;

interface Sample {
  readonly prompt: PreparedPrompt;
  readonly label: LabelledPrompt['label'];
}

export async function findDirections(context: SearchContext, request: FindDirectionsRequest): Promise<DirectionSearch> {
  assertPromptSet(request.prompts, 2);
  const prompts = request.prompts.map(({ prompt }) => prompt);
  const scoring = await openScoring(context, { ...request, prompts });
  const samples = scoring.prompts.map((prompt, i): Sample => ({ prompt, label: request.prompts[i]!.label }));
  const positions = choosePositions(request.positions, scoring);
  const kept = await keepAgreeing(scoring, samples);
  const split = splitBySeed(kept, request.heldOutPerLabel, request.seed);
  const directions = await fitDirections(context, scoring, split.fit, positions);
  const promptsOf = (label: Sample['label']) =>
    split.heldOut.filter((sample) => sample.label === label).map(({ prompt }) => prompt);
  const scored = await scoreDirections(
    {
      evaluator: scoring.evaluator,
      nLayers: scoring.facts.nLayers,
      maxBankEdits: scoring.facts.limits.maxBankEdits,
      harmful: promptsOf('harmful'),
      harmless: promptsOf('harmless'),
      budget: request.budget,
      onProgress: (detail) => scoring.progress('directions', scoring.evaluator.counts().asked, 0, detail),
    },
    directions,
  );
  return {
    directions: scored,
    selected: selectBest(scored),
    bestByLayer: bestByLayer(scored),
    fit: countLabels(split.fit),
    heldOut: countLabels(split.heldOut),
    dropped: samples.length - kept.length,
  };
}

function choosePositions(asked: readonly number[], { facts, prompts }: Scoring): number[] {
  const positions =
    asked.length > 0
      ? [...asked]
      : Array.from({ length: facts.templateSuffixLength }, (_, i) => i - facts.templateSuffixLength);
  if (positions.length === 0) return [-1];
  const shortest = Math.min(...prompts.map(({ tokens }) => tokens.tokenIds.length));
  const bad = positions.find((position) => !Number.isInteger(position) || position >= 0 || -position > shortest);
  if (bad !== undefined)
    throw fault(
      'REQUEST_INVALID',
      `Position ${bad} is not allowed; positions count from the end, -${shortest} to -1 here.`,
    );
  return positions;
}

/** Leaves out prompts whose label and clean score disagree (Arditi et al. 2024, appendix C). */
async function keepAgreeing(scoring: Scoring, samples: readonly Sample[]): Promise<Sample[]> {
  const asks = samples.map(({ prompt }) => ({ prompt, bank: EMPTY_BANK, on: [] }));
  const clean = await scoring.evaluator.evaluate(asks);
  scoring.progress('directions', clean.length, 0, 'clean scores');
  const kept = samples.filter(({ label }, i) => {
    const { refusalScore } = clean[i]!;
    return label === 'harmful' ? refusalScore > 0 : refusalScore < 0;
  });
  const { harmful, harmless } = countLabels(kept);
  if (harmful >= 2 && harmless >= 2) return kept;
  throw fault(
    'AUDIT_IMPOSSIBLE',
    `Only ${harmful} harmful prompts are refused and ${harmless} harmless ones answered; a direction needs 2 of each at least.`,
  );
}

function splitBySeed(samples: readonly Sample[], heldOutPerLabel: number, seed: number) {
  const random = createSeededRandom(seed).fork('directions');
  const fit: Sample[] = [];
  const heldOut: Sample[] = [];
  for (const label of ['harmful', 'harmless'] as const) {
    const shuffled = random.fork(label).shuffle(samples.filter((sample) => sample.label === label));
    const held = heldOutPerLabel || Math.max(1, Math.min(MAX_HELD_OUT, Math.floor(shuffled.length / 4)));
    if (held >= shuffled.length)
      throw fault(
        'REQUEST_INVALID',
        `${held} ${label} prompts were to be held out, but only ${shuffled.length} keep their label; one at least must fit the means.`,
      );
    heldOut.push(...shuffled.slice(0, held));
    fit.push(...shuffled.slice(held));
  }
  return { fit, heldOut };
}

async function fitDirections(
  context: SearchContext,
  scoring: Scoring,
  fit: readonly Sample[],
  positions: readonly number[],
): Promise<Direction[]> {
  const layers = Array.from({ length: scoring.facts.nLayers }, (_, layer) => layer);
  const means = createMeanDifference(layers, positions, scoring.facts.dModel);
  for (let start = 0; start < fit.length; start += PROMPTS_A_CAPTURE) {
    throwIfAborted(context.signal);
    const part = fit.slice(start, start + PROMPTS_A_CAPTURE);
    const request = { prompts: part.map(({ prompt }) => prompt.prompt), layers, positions };
    for await (const captured of context.model.capture(request, context.signal)) {
      const { label, prompt } = part[captured.promptIndex]!;
      means.add(label, inAskedOrder(captured, positions, prompt.tokens.tokenIds.length));
    }
    scoring.progress('directions', Math.min(start + part.length, fit.length), fit.length, 'residuals');
  }
  return means.directions();
}

/** Rows come with their positions from the start; the means count from the end. */
function inAskedOrder(captured: CapturedPrompt, positions: readonly number[], length: number): Map<number, Matrix> {
  const rows = positions.map((position) => captured.positions.indexOf(length + position));
  if (rows.includes(-1)) throw fault('INTERNAL', 'Inference left a position out of a capture.');
  return new Map(
    [...captured.residuals].map(([layer, { cols, data }]) => {
      const ordered = new Float32Array(rows.length * cols);
      for (const [i, row] of rows.entries()) ordered.set(data.subarray(row * cols, (row + 1) * cols), i * cols);
      return [layer, { rows: rows.length, cols, data: ordered }];
    }),
  );
}

function countLabels(samples: readonly Sample[]): Counts {
  const harmful = samples.filter(({ label }) => label === 'harmful').length;
  return { harmful, harmless: samples.length - harmful };
}

/** The lowest bypass of those that nothing rejects. */
function selectBest(scored: readonly ScoredDirection[]): number | undefined {
  let best: number | undefined;
  for (const [i, { rejected, bypass }] of scored.entries())
    if (rejected.length === 0 && (best === undefined || bypass < scored[best]!.bypass)) best = i;
  return best;
}

/**
 * By induce: of the positions of a layer, the one whose addition causes most refusal is the one whose nearest features carry it. The
 * lowest bypass is a worse guide, as an ablation that breaks the model bypasses best (docs/services/search.md has the figures).
 */
function bestByLayer(scored: readonly ScoredDirection[]): number[] {
  const best = new Map<number, number>();
  for (const [i, { direction, probeInduce }] of scored.entries()) {
    if (!Number.isFinite(probeInduce)) continue;
    const current = best.get(direction.layer);
    if (current === undefined || probeInduce >= scored[current]!.probeInduce) best.set(direction.layer, i);
  }
  return [...best].sort(([a], [b]) => a - b).map(([, i]) => i);
}
