/** One line of `evaluate`: what is asked and what is answered, as JSON with the names that issue and docs use. */
import { fault, isFault } from '../../shared/errors/fault.js';
import { parseFeature } from '../../shared/tensors/feature-name.js';
import {
  formatPositions,
  INSTRUCTION_POSITIONS,
  type Positions,
  parsePositions,
} from '../../shared/tensors/positions.js';

/** One edit: the feature is moved to the target; 0 ablates. */
export interface AskedEdit {
  /** "layer/index". */
  readonly feature: string;
  readonly target: number;
}

export interface AskedLine {
  readonly prompt: string;
  readonly edits: readonly AskedEdit[];
  readonly positions: Positions;
}

export interface AnsweredLine {
  readonly refusal_score: number;
  readonly first_token_score: number;
  readonly p_I: number;
  /** False: edits were asked for and none changed anything, so the scores are those of the clean prompt. Absent without edits. */
  readonly acted?: boolean;
  readonly proof: readonly {
    readonly layer: number;
    readonly delta_norm: number;
    readonly active_edits: number;
    readonly active_pairs: number;
    readonly residual_norm: number;
  }[];
  readonly ablate: readonly string[];
  readonly clamp?: Readonly<Record<string, number>>;
  readonly positions: string;
}

export interface FailedLine {
  readonly error: { readonly code: string; readonly message: string };
}

/** `{"prompt": ..., "ablate": ["13/5"], "clamp": {"17/2": 4}, "positions": "instruction"}`; all but prompt optional. */
export const parseAskedLine = (text: string): AskedLine => {
  const value = parseObject(text);
  for (const key of Object.keys(value)) {
    if (!['prompt', 'ablate', 'clamp', 'positions'].includes(key)) {
      throw fault(
        'REQUEST_INVALID',
        `${JSON.stringify(key)} is not known; prompt, ablate, clamp and positions are taken.`,
      );
    }
  }
  const { prompt, ablate = [], clamp = {}, positions = formatPositions(INSTRUCTION_POSITIONS) } = value;
  if (typeof prompt !== 'string') throw fault('REQUEST_INVALID', 'prompt is missing, or no text.');
  if (!Array.isArray(ablate) || ablate.some((name) => typeof name !== 'string')) {
    throw fault('REQUEST_INVALID', 'ablate must be a list of features, such as ["13/5", "17/101"].');
  }
  if (typeof positions !== 'string') throw fault('REQUEST_INVALID', 'positions must be text, such as "instruction".');
  return askedLine(prompt, ablate as string[], parseClamp(clamp), parsePositions(positions));
};

/** Checks what flags and lines have in common. Throws PROMPT_EMPTY, REQUEST_INVALID or NOT_FINITE. */
export const askedLine = (
  prompt: string,
  ablate: readonly string[],
  clamp: ReadonlyMap<string, number>,
  positions: Positions,
): AskedLine => {
  if (prompt.trim() === '') throw fault('PROMPT_EMPTY', 'The prompt is empty.');
  const edits = [
    ...ablate.map((feature) => ({ feature, target: 0 })),
    ...[...clamp].map(([feature, target]) => ({ feature, target })),
  ];
  const seen = new Set<string>();
  for (const { feature, target } of edits) {
    parseFeature(feature);
    if (seen.has(feature)) throw fault('REQUEST_INVALID', `${feature} is named twice.`);
    if (!Number.isFinite(target))
      throw fault('NOT_FINITE', `The clamp value of ${feature} is ${target}; it must be a finite number.`);
    seen.add(feature);
  }
  return { prompt, edits, positions };
};

const parseObject = (text: string): Readonly<Record<string, unknown>> => {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Falls through: what matters is that it is no object.
  }
  throw fault('REQUEST_INVALID', 'The line is no JSON object; write {"prompt": "...", "ablate": ["13/5"]}.');
};

const parseClamp = (clamp: unknown): Map<string, number> => {
  const isObject = typeof clamp === 'object' && clamp !== null && !Array.isArray(clamp);
  if (!isObject || Object.values(clamp).some((value) => typeof value !== 'number')) {
    throw fault('REQUEST_INVALID', 'clamp must map features to numbers, such as {"13/5": 4}.');
  }
  return new Map(Object.entries(clamp as Record<string, number>));
};

export const failedLine = (thrown: unknown): FailedLine => {
  if (!isFault(thrown)) throw thrown;
  return { error: { code: thrown.code, message: thrown.message } };
};
