/**
 * What needs no search: the features of all layers in one order, by three simple readings. The cosine of the decoder row with its
 * layer's direction; mean activation on harmful prompts minus that on harmless ones; the weight in a linear probe that tells the two
 * apart. They are what anyone would try first, and so what a search has to beat.
 */

import { fault } from '../../../shared/errors/fault.js';
import { compareFeatures, type FeatureId, formatFeature } from '../../../shared/tensors/feature-name.js';
import type { Positions } from '../../../shared/tensors/positions.js';
import { editedPositions } from '../model/edited-positions.js';
import { throwIfAborted } from '../model/evaluator.js';
import type { TokenizedPrompt } from '../model/model-port.js';
import { assertPromptSet, type LabelledPrompt } from '../model/prompt-set.js';
import { readActivations } from '../model/read-activations.js';
import { type SearchContext, tokenizeAll } from '../model/scoring.js';
import { fitLinearProbe, type SparseColumn } from '../statistics/linear-probe.js';
import { type LayerDirection, MAX_CANDIDATES_A_LAYER, rankCandidates } from './rank-candidates.js';

export interface RankFeaturesRequest {
  readonly model: string;
  readonly prompts: readonly LabelledPrompt[];
  /** One a layer that is ranked. */
  readonly directions: readonly LayerDirection[];
  readonly positions: Positions;
  /** Of each ranking. */
  readonly count: number;
}

export interface ValuedFeature extends FeatureId {
  readonly value: number;
}

/** Each descending, values above 0 alone. */
export interface FeatureRankings {
  readonly cosine: readonly ValuedFeature[];
  readonly activationDifference: readonly ValuedFeature[];
  readonly probeWeight: readonly ValuedFeature[];
  readonly probe: { readonly right: number; readonly total: number };
}

/** The probe solves for one unknown a prompt, in cubic time; a difference of means needs no more either. */
const MAX_PROMPTS = 256;

export async function rankFeatures(context: SearchContext, request: RankFeaturesRequest): Promise<FeatureRankings> {
  assertPromptSet(request.prompts, 1);
  if (request.prompts.length > MAX_PROMPTS)
    throw fault(
      'REQUEST_TOO_LARGE',
      `${request.prompts.length} prompts were given to rank by; at most ${MAX_PROMPTS} are taken.`,
    );
  const near = await rankCandidates(context, request.directions, Math.min(request.count, MAX_CANDIDATES_A_LAYER));
  const features = await collectColumns(context, request);
  const labels = request.prompts.map(({ label }) => (label === 'harmful' ? 1 : -1));
  const probe = fitLinearProbe(features, labels);
  const inOrder = (valued: readonly ValuedFeature[]) => takeHighest(valued, request.count);
  return {
    cosine: inOrder(near.map(({ layer, index, cosine }) => ({ layer, index, value: cosine }))),
    activationDifference: inOrder(
      features.map((feature) => ({ ...idOf(feature), value: differenceOf(feature, labels) })),
    ),
    // As float32: two features that say the same differ by the rounding of the sums alone, and must come in their own order.
    probeWeight: inOrder(features.map((feature, i) => ({ ...idOf(feature), value: Math.fround(probe.weights[i]!) }))),
    probe: { right: probe.right, total: probe.total },
  };
}

interface FeatureColumn extends FeatureId, SparseColumn {
  readonly rows: number[];
  readonly values: number[];
}

const idOf = ({ layer, index }: FeatureId): FeatureId => ({ layer, index });

/** Of every feature that is on in one prompt at least: its largest activation in each. By layer, then index. */
async function collectColumns(context: SearchContext, request: RankFeaturesRequest): Promise<FeatureColumn[]> {
  const { limits } = await context.model.describe(request.model, context.signal);
  const prompts = request.prompts.map(({ prompt }) => prompt);
  const tokenized = await tokenizeAll(context, prompts, limits.maxPrompts);
  const layers = new Map(request.directions.map(({ layer }) => [layer, undefined]));
  const columns = new Map<string, FeatureColumn>();
  for (const [row, prompt] of prompts.entries()) {
    throwIfAborted(context.signal);
    const tokens = tokenized[row]!;
    const positions = readable(request.positions, tokens);
    const { peaks } = await readActivations(context, { prompt: { prompt, tokens }, positions, layers });
    for (const peak of peaks.values()) {
      const name = formatFeature(peak);
      const column = columns.get(name) ?? { ...idOf(peak), rows: [], values: [] };
      columns.set(name, column);
      column.rows.push(row);
      column.values.push(peak.value);
    }
    const counted = { evaluations: 0, evaluationsReused: 0 };
    context.onProgress({ stage: 'rankings', done: row + 1, total: prompts.length, ...counted });
  }
  return [...columns.values()].sort(compareFeatures);
}

/** Edits of the answer alone touch no position of the prompt: then what is on from the instruction on says most. */
const readable = (positions: Positions, tokens: TokenizedPrompt): Positions =>
  editedPositions(positions, tokens).length > 0
    ? positions
    : { span: 'instruction', start: 0, end: 0, includeBos: false };

function differenceOf({ rows, values }: SparseColumn, labels: readonly number[]): number {
  const sums = { harmful: 0, harmless: 0 };
  for (const [i, row] of rows.entries()) sums[labels[row]! > 0 ? 'harmful' : 'harmless'] += values[i]!;
  const harmful = labels.filter((label) => label > 0).length;
  return sums.harmful / harmful - sums.harmless / (labels.length - harmful);
}

/** Ties by layer, then index, so that the order never hangs on how results came in. */
const takeHighest = (valued: readonly ValuedFeature[], count: number): ValuedFeature[] =>
  valued
    .filter(({ value }) => value > 0)
    .sort((a, b) => b.value - a.value || compareFeatures(a, b))
    .slice(0, count);
