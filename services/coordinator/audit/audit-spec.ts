/**
 * What an audit is asked to do: checked once, defaults filled in, and from then on plain data. Its digest stands in the report.
 * Prevents: a run that fails after an hour on a field that was wrong from the start.
 */
import { createHash } from 'node:crypto';
import { fault } from '../../../shared/errors/fault.js';
import type { Positions } from '../../../shared/tensors/positions.js';
import { type ClaimSettings, checkSkippedStages, type SkippableStage } from './claim-settings.js';
import type { PaperSettings } from './paper-settings.js';

export type PromptInput =
  | { readonly text: string }
  | { readonly tokenIds: readonly number[]; readonly instructionStart?: number };

export interface AuditPrompt {
  readonly id: string;
  readonly label: 'harmful' | 'harmless';
  readonly category: string;
  readonly input: PromptInput;
}

export type FilterMethodName = 'group' | 'greedy' | 'paper';

export interface AuditSpec {
  readonly model: string;
  readonly title: string;
  readonly prompts: readonly AuditPrompt[];
  /** Empty: every harmful prompt that is refused. */
  readonly searchPromptIds: readonly string[];
  /** 0: no limit. */
  readonly maxSearchPrompts: number;
  /** Empty: SAE layers below 0.8 of the depth. */
  readonly layers: readonly number[];
  /** Candidates a layer, ascending. */
  readonly growth: readonly number[];
  readonly filterMethod: FilterMethodName;
  readonly positions: Positions;
  readonly fmMasks: number;
  readonly fmFeatures: number;
  readonly seed: number;
  readonly controlDraws: number;
  readonly maxNewTokens: number;
  /** Empty: calibrated. */
  readonly openers: readonly string[];
  readonly redactAnswers: boolean;
  /** Present: the stages run as in arXiv 2509.09708. */
  readonly paper?: PaperSettings;
  /** Absent only in specs from before there were such stages: they are not run then. */
  readonly claims?: ClaimSettings;
  /** Search the refused harmless prompts. */
  readonly overRefusal?: true;
  readonly skipStages?: readonly SkippableStage[];
}

/** The defaults that the proto promises for fields left at zero. */
export const SPEC_DEFAULTS = {
  growth: [10, 20, 50, 100, 200],
  fmMasks: 512,
  fmFeatures: 32,
  controlDraws: 5,
  maxNewTokens: 48,
} as const;

const MAX_PROMPTS = 10_000;
const MAX_TEXT_BYTES = 65_536;

/** Returns the spec as it will run (layers and growth ascending). Throws REQUEST_INVALID or PROMPT_EMPTY with the field's name. */
export const checkSpec = (spec: AuditSpec): AuditSpec => {
  checkPrompts(spec.prompts);
  const known = new Set(spec.prompts.map((prompt) => prompt.id));
  for (const id of spec.searchPromptIds) {
    if (!known.has(id)) throw invalid(`search_prompt_ids names ${JSON.stringify(id)}, which is not in the prompt set.`);
  }
  if (spec.overRefusal && spec.searchPromptIds.length > 0) {
    throw invalid('over_refusal chooses the prompts to search itself: search_prompt_ids must be empty.');
  }
  checkSkippedStages(spec.skipStages ?? []);
  checkAscending('growth', spec.growth, 1, 65_536);
  const layers = [...spec.layers].sort((a, b) => a - b);
  checkAscending('layers', layers, 0, 1023);
  checkWhole('fm_masks', spec.fmMasks, 1, 65_536);
  checkWhole('fm_features', spec.fmFeatures, 2, 4096);
  checkWhole('control_draws', spec.controlDraws, 1, 1000);
  checkWhole('max_new_tokens', spec.maxNewTokens, 1, 4096);
  checkWhole('seed', spec.seed, 0, Number.MAX_SAFE_INTEGER);
  checkWhole('max_search_prompts', spec.maxSearchPrompts, 0, MAX_PROMPTS);
  if (spec.title.length > 128) throw invalid(`title has ${spec.title.length} characters; at most 128 are taken.`);
  return { ...spec, layers };
};

const checkPrompts = (prompts: readonly AuditPrompt[]): void => {
  if (prompts.length < 2 || prompts.length > MAX_PROMPTS) {
    throw invalid(`The prompt set has ${prompts.length} prompts; 2 to ${MAX_PROMPTS} are taken.`);
  }
  const ids = new Set<string>();
  for (const prompt of prompts) {
    checkPrompt(prompt);
    if (ids.has(prompt.id)) throw invalid(`Two prompts have the id ${JSON.stringify(prompt.id)}; ids must differ.`);
    ids.add(prompt.id);
  }
  for (const label of ['harmful', 'harmless'] as const) {
    if (!prompts.some((prompt) => prompt.label === label)) {
      throw invalid(`The prompt set has no ${label} prompt; a direction needs both labels.`);
    }
  }
};

const checkPrompt = ({ id, category, input }: AuditPrompt): void => {
  if (id === '' || id.length > 128) throw invalid(`A prompt id has ${id.length} characters; 1 to 128 are taken.`);
  if (category.length > 64)
    throw invalid(`The category of ${id} has ${category.length} characters; at most 64 are taken.`);
  const isEmpty = 'text' in input ? input.text.trim() === '' : input.tokenIds.length === 0;
  if (isEmpty) throw fault('PROMPT_EMPTY', `Prompt ${id} is empty.`);
  if ('text' in input && Buffer.byteLength(input.text) > MAX_TEXT_BYTES) {
    throw invalid(`Prompt ${id} has ${Buffer.byteLength(input.text)} bytes; at most ${MAX_TEXT_BYTES} are taken.`);
  }
};

const checkAscending = (name: string, values: readonly number[], min: number, max: number): void => {
  values.forEach((value, i) => {
    checkWhole(name, value, min, max);
    if (i > 0 && value <= (values[i - 1] as number)) {
      throw invalid(`${name} must be ascending without repeats; ${value} follows ${values[i - 1]}.`);
    }
  });
};

const checkWhole = (name: string, value: number, min: number, max: number): void => {
  if (!Number.isSafeInteger(value) || value < min || value > max) {
    throw invalid(`${name} is ${value}; it must be a whole number between ${min} and ${max}.`);
  }
};

const invalid = (text: string) => fault('REQUEST_INVALID', text);

export const sha256Hex = (text: string): string => createHash('sha256').update(text).digest('hex');

/** Keys are written in one fixed order by whoever builds the spec, so equal specs have equal digests. */
export const digestSpec = (spec: AuditSpec): string => sha256Hex(JSON.stringify(spec));

export const digestPrompt = (prompt: AuditPrompt): string => sha256Hex(JSON.stringify(prompt.input));

export const digestPromptSet = (prompts: readonly AuditPrompt[]): string =>
  sha256Hex(JSON.stringify(prompts.map(({ id, label, category, input }) => [id, label, category, input])));
