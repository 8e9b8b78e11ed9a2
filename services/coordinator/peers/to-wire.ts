/** Domain values of an audit as the peers' messages. */
import type { FilterMethod } from '../../../proto/gen/refusalscope/v1/search.js';
import {
  type Direction,
  type Feature,
  type FeatureSimilarity,
  type LabelledPrompt,
  type Prompt,
  PromptLabel,
  type ScoreSpec,
} from '../../../proto/gen/refusalscope/v1/types.js';
import { parseFeature } from '../../../shared/tensors/feature-name.js';
import { encodeMatrix } from '../../../shared/tensors/matrix.js';
import type { AuditPrompt, FilterMethodName } from '../audit/audit-spec.js';
import type { Candidates } from '../report/report-type.js';
import type { DirectionVector, ScoreTokens } from '../stages/stage-results.js';

export const encodePrompt = (prompt: AuditPrompt): Prompt =>
  'text' in prompt.input
    ? { id: prompt.id, input: { $case: 'text', value: prompt.input.text } }
    : {
        id: prompt.id,
        input: { $case: 'tokenIds', value: { ids: [...prompt.input.tokenIds] } },
        ...(prompt.input.instructionStart !== undefined && { instructionStart: prompt.input.instructionStart }),
      };

export const encodeLabelledPrompt = (prompt: AuditPrompt): LabelledPrompt => ({
  prompt: encodePrompt(prompt),
  label: prompt.label === 'harmful' ? PromptLabel.PROMPT_LABEL_HARMFUL : PromptLabel.PROMPT_LABEL_HARMLESS,
  category: prompt.category,
});

export const encodeScore = (score: ScoreTokens): ScoreSpec => ({
  openers: score.openers.map((ids) => ({ ids: [...ids] })),
  firstTokenIds: [...score.firstTokenIds],
  iTokenId: score.iTokenId,
});

export const encodeDirection = (direction: DirectionVector): Direction => {
  const bytes = Buffer.from(direction.vector, 'base64');
  const data = new Float32Array(Uint8Array.from(bytes).buffer);
  return {
    layer: direction.layer,
    position: direction.position,
    vector: encodeMatrix({ rows: 1, cols: data.length, data }),
    rawNorm: direction.rawNorm,
  };
};

export const encodeFeatures = (names: readonly string[]): Feature[] => names.map(parseFeature);

export const encodeCandidates = (candidates: Candidates['features']): FeatureSimilarity[] =>
  candidates.map(({ feature, cosine }) => ({ feature: parseFeature(feature), cosine }));

// Numbers of FilterMethod in search.proto.
const FILTER_METHODS: Record<FilterMethodName, FilterMethod> = { group: 1, greedy: 2, paper: 3 };
export const encodeFilterMethod = (name: FilterMethodName): FilterMethod => FILTER_METHODS[name];
