/** Flags and prompts as the spec of an audit. What a flag leaves open stays 0 or empty: the coordinator fills in its defaults. */
import { type AuditSpec, ClaimSettings, type PaperSettings } from '../../proto/gen/refusalscope/v1/coordinator.js';
import { FilterMethod } from '../../proto/gen/refusalscope/v1/search.js';
import { PromptLabel } from '../../proto/gen/refusalscope/v1/types.js';
import { encodePositions, parsePositions } from '../../shared/tensors/positions.js';
import { type ClaimFlags, claimSettings } from './claim-flags.js';
import type { CliPrompt } from './prompt-file.js';

export interface SpecFlags extends ClaimFlags {
  readonly title?: string;
  readonly maxPrompts?: number;
  readonly layers?: readonly number[];
  readonly growth?: readonly number[];
  readonly filter: keyof typeof FILTERS;
  readonly positions: string;
  readonly seed: number;
  readonly masks?: number;
  readonly features?: number;
  readonly draws?: number;
  readonly answerTokens?: number;
  readonly opener?: readonly string[];
  readonly redact?: boolean;
}

export const FILTERS = {
  group: FilterMethod.FILTER_METHOD_GROUP,
  greedy: FilterMethod.FILTER_METHOD_GREEDY,
  paper: FilterMethod.FILTER_METHOD_PAPER,
} as const;

/** Throws REQUEST_INVALID for positions that cannot be read. */
export const buildSpec = (
  prompts: readonly CliPrompt[],
  flags: SpecFlags,
  paper?: PaperSettings | undefined,
): AuditSpec => ({
  model: '',
  title: flags.title ?? '',
  prompts: prompts.map(({ id, text, label, category }) => ({
    prompt: { id, input: { $case: 'text', value: text } },
    label: label === 'harmful' ? PromptLabel.PROMPT_LABEL_HARMFUL : PromptLabel.PROMPT_LABEL_HARMLESS,
    category,
  })),
  searchPromptIds: [],
  maxSearchPrompts: flags.maxPrompts ?? 0,
  layers: [...(flags.layers ?? [])],
  growth: [...(flags.growth ?? [])],
  filterMethod: FILTERS[flags.filter],
  positions: encodePositions(parsePositions(flags.positions)),
  fmMasks: flags.masks ?? 0,
  fmFeatures: flags.features ?? 0,
  seed: flags.seed,
  controlDraws: flags.draws ?? 0,
  maxNewTokens: flags.answerTokens ?? 0,
  openers: [...(flags.opener ?? [])],
  redactAnswers: flags.redact ?? false,
  claims: ClaimSettings.fromPartial(claimSettings(flags)),
  overRefusal: flags.overRefusal ?? false,
  skipStages: [...(flags.skip ?? [])],
  ...(paper !== undefined && { paper }),
});
