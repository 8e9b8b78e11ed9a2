/** Types that requests, results and peers have in common, between the wire's form and the domain's. Generated types stop in this folder. */
import {
  type FilterMethod,
  FilterMethod as FilterMethods,
  type EvaluationRecord as WireRecord,
} from '../../../proto/gen/refusalscope/v1/search.js';
import {
  PromptLabel,
  type Direction as WireDirection,
  type Feature as WireFeature,
  type LabelledPrompt as WireLabelledPrompt,
  type Prompt as WirePrompt,
  type LayerProof as WireProof,
  type ScoreSpec as WireScoreSpec,
} from '../../../proto/gen/refusalscope/v1/types.js';
import { fault } from '../../../shared/errors/fault.js';
import type { FeatureId } from '../../../shared/tensors/feature-name.js';
import { decodeRow, encodeRow } from '../../../shared/tensors/matrix.js';
import type { Direction } from '../directions/mean-difference.js';
import type { EvaluationRecord } from '../model/evaluator.js';
import type { LayerProof, Prompt, ScoreSpec } from '../model/model-port.js';
import type { LabelledPrompt } from '../model/prompt-set.js';

const MAX_ID_CHARACTERS = 128;

export function decodePrompt(wire: WirePrompt | undefined): Prompt {
  const input = wire?.input;
  if (wire === undefined || input === undefined)
    throw fault('PROMPT_EMPTY', `Prompt ${wire?.id ?? ''} has neither text nor token ids.`);
  if (wire.id.length > MAX_ID_CHARACTERS)
    throw fault(
      'REQUEST_INVALID',
      `A prompt id has ${wire.id.length} characters; at most ${MAX_ID_CHARACTERS} are allowed.`,
    );
  if (input.$case === 'text') return { id: wire.id, input: { kind: 'text', text: input.value } };
  const start = wire.instructionStart;
  const ids = input.value.ids;
  return { id: wire.id, input: { kind: 'tokens', ids, ...(start !== undefined && { instructionStart: start }) } };
}

export function encodePrompt({ id, input }: Prompt): WirePrompt {
  if (input.kind === 'text') return { id, input: { $case: 'text', value: input.text } };
  const start = input.instructionStart;
  const value = { ids: [...input.ids] };
  return { id, input: { $case: 'tokenIds', value }, ...(start !== undefined && { instructionStart: start }) };
}

export function decodeLabelledPrompt({ prompt, label }: WireLabelledPrompt): LabelledPrompt {
  const decoded = decodePrompt(prompt);
  if (label === PromptLabel.PROMPT_LABEL_HARMFUL) return { prompt: decoded, label: 'harmful' };
  if (label === PromptLabel.PROMPT_LABEL_HARMLESS) return { prompt: decoded, label: 'harmless' };
  throw fault('REQUEST_INVALID', `Prompt ${decoded.id} has no label; it must be harmful or harmless.`);
}

export function decodeScore(wire: WireScoreSpec | undefined): ScoreSpec {
  if (wire === undefined) throw fault('REQUEST_INVALID', 'score is missing; CalibrateOpeners gives one.');
  const { firstTokenIds, iTokenId } = wire;
  return { openers: wire.openers.map(({ ids }) => ids), firstTokenIds, iTokenId };
}

export const encodeScore = ({ openers, firstTokenIds, iTokenId }: ScoreSpec): WireScoreSpec => ({
  openers: openers.map((ids) => ({ ids: [...ids] })),
  firstTokenIds: [...firstTokenIds],
  iTokenId,
});

export function decodeFeature(wire: WireFeature | undefined): FeatureId {
  if (wire === undefined) throw fault('REQUEST_INVALID', 'A feature is missing.');
  return { layer: wire.layer, index: wire.index };
}

export const encodeFeature = ({ layer, index }: FeatureId): WireFeature => ({ layer, index });

export const decodeDirection = ({ layer, position, vector, rawNorm }: WireDirection): Direction => ({
  layer,
  position,
  vector: decodeRow(vector, { name: `the direction of layer ${layer}` }),
  rawNorm,
});

/** The wire allows finite values alone: a direction that has none goes out as the zero vector, and its rejection says why. */
export const encodeDirection = ({ layer, position, vector, rawNorm }: Direction): WireDirection => {
  const finite = vector.every(Number.isFinite);
  return {
    layer,
    position,
    vector: encodeRow(finite ? vector : new Float32Array(vector.length)),
    rawNorm: finite ? rawNorm : 0,
  };
};

export const decodeProof = (proof: readonly WireProof[]): LayerProof[] => proof.map((layer) => ({ ...layer }));
export const encodeProof = (proof: readonly LayerProof[]): WireProof[] => proof.map((layer) => ({ ...layer }));

const KEY_BYTES = 32;

export function decodeRecord(wire: WireRecord): EvaluationRecord {
  if (wire.key.byteLength !== KEY_BYTES)
    throw fault(
      'REQUEST_INVALID',
      `A known evaluation has a key of ${wire.key.byteLength} bytes; it must have ${KEY_BYTES}.`,
    );
  const { refusalScore, firstTokenScore, pI, firstTokenKl, acted } = wire;
  return {
    key: Buffer.from(wire.key).toString('hex'),
    evaluation: { refusalScore, firstTokenScore, pI, firstTokenKl, acted, proof: decodeProof(wire.proof) },
  };
}

export const encodeRecord = ({ key, evaluation }: EvaluationRecord): WireRecord => ({
  ...evaluation,
  key: Buffer.from(key, 'hex'),
  proof: encodeProof(evaluation.proof),
});

export type FilterName = 'group' | 'greedy' | 'paper';

export function decodeFilterName(method: FilterMethod): FilterName {
  switch (method) {
    case FilterMethods.FILTER_METHOD_UNSPECIFIED:
    case FilterMethods.FILTER_METHOD_GROUP:
      return 'group';
    case FilterMethods.FILTER_METHOD_GREEDY:
      return 'greedy';
    case FilterMethods.FILTER_METHOD_PAPER:
      return 'paper';
    default:
      throw fault('REQUEST_INVALID', `Filter method ${method} is not known; group, greedy and paper are.`);
  }
}

export const FILTER_METHODS: Readonly<Record<FilterName, FilterMethod>> = {
  group: FilterMethods.FILTER_METHOD_GROUP,
  greedy: FilterMethods.FILTER_METHOD_GREEDY,
  paper: FilterMethods.FILTER_METHOD_PAPER,
};
