/** The spec of a request as a checked AuditSpec, with the defaults that the proto promises. */
import type { AuditSpec as WireSpec } from '../../../proto/gen/refusalscope/v1/coordinator.js';
import { FilterMethod } from '../../../proto/gen/refusalscope/v1/search.js';
import { type LabelledPrompt, PromptLabel } from '../../../proto/gen/refusalscope/v1/types.js';
import { fault } from '../../../shared/errors/fault.js';
import { decodePositions } from '../../../shared/tensors/positions.js';
import {
  type AuditPrompt,
  type AuditSpec,
  checkSpec,
  type FilterMethodName,
  SPEC_DEFAULTS,
} from '../audit/audit-spec.js';
import { decodeClaimSettings, type SkippableStage } from '../audit/claim-settings.js';
import { decodePaperSettings } from '../audit/paper-settings.js';

/** Throws REQUEST_INVALID or PROMPT_EMPTY, naming the field. */
export const decodeSpec = (wire: WireSpec | undefined): AuditSpec => {
  if (wire === undefined) throw fault('REQUEST_INVALID', 'spec is missing.');
  return checkSpec({
    model: wire.model,
    title: wire.title,
    prompts: wire.prompts.map(decodePrompt),
    searchPromptIds: [...wire.searchPromptIds],
    maxSearchPrompts: wire.maxSearchPrompts,
    layers: [...wire.layers],
    growth: wire.growth.length > 0 ? [...wire.growth] : [...SPEC_DEFAULTS.growth],
    filterMethod: decodeMethod(wire.filterMethod),
    positions: decodePositions(wire.positions),
    fmMasks: wire.fmMasks || SPEC_DEFAULTS.fmMasks,
    fmFeatures: wire.fmFeatures || SPEC_DEFAULTS.fmFeatures,
    seed: wire.seed,
    controlDraws: wire.controlDraws || SPEC_DEFAULTS.controlDraws,
    maxNewTokens: wire.maxNewTokens || SPEC_DEFAULTS.maxNewTokens,
    openers: [...wire.openers],
    redactAnswers: wire.redactAnswers,
    ...(wire.paper !== undefined && { paper: decodePaperSettings(wire.paper) }),
    claims: decodeClaimSettings(wire.claims),
    ...(wire.overRefusal && { overRefusal: true }),
    // checkSpec refuses other names.
    ...(wire.skipStages.length > 0 && { skipStages: wire.skipStages as SkippableStage[] }),
  });
};

const METHODS = new Map<FilterMethod, FilterMethodName>([
  [FilterMethod.FILTER_METHOD_UNSPECIFIED, 'group'],
  [FilterMethod.FILTER_METHOD_GROUP, 'group'],
  [FilterMethod.FILTER_METHOD_GREEDY, 'greedy'],
  [FilterMethod.FILTER_METHOD_PAPER, 'paper'],
]);

const decodeMethod = (method: FilterMethod): FilterMethodName => {
  const name = METHODS.get(method);
  if (name === undefined) throw fault('REQUEST_INVALID', `filter_method ${method} is not known.`);
  return name;
};

const decodePrompt = ({ prompt, label, category }: LabelledPrompt, index: number): AuditPrompt => {
  const id = prompt?.id || `prompt-${index + 1}`;
  if (label !== PromptLabel.PROMPT_LABEL_HARMFUL && label !== PromptLabel.PROMPT_LABEL_HARMLESS) {
    throw fault('REQUEST_INVALID', `Prompt ${id} has no label; it must be harmful or harmless.`);
  }
  const labelName = label === PromptLabel.PROMPT_LABEL_HARMFUL ? 'harmful' : 'harmless';
  const start = prompt?.instructionStart;
  const input =
    prompt?.input?.$case === 'tokenIds'
      ? { tokenIds: [...prompt.input.value.ids], ...(start !== undefined && { instructionStart: start }) }
      : { text: prompt?.input?.value ?? '' };
  return { id, label: labelName, category, input };
};
