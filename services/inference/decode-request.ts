/** Wire messages to the engine's input, refused at the door: shapes, ranges, finite values, limits. Generated types stop here. */
import type {
  BankReference,
  LayerEdits,
  Prompt,
  EditBank as WireBank,
  ScoreSpec as WireScoreSpec,
} from '../../proto/gen/refusalscope/v1/types.js';
import { fault } from '../../shared/errors/fault.js';
import { decodeMatrix } from '../../shared/tensors/matrix.js';
import { decodePositions } from '../../shared/tensors/positions.js';
import type { LayerEditsInput } from './engine/edit-bank.js';
import type { ScoreSpec } from './engine/opener-tree.js';
import type { PromptInput } from './engine/scored-prompt.js';
import type { InferenceLimits } from './limits.js';
import type { ModelSpec } from './model/model-spec.js';
import type { BankInput } from './thread/messages.js';
import type { ChatTokenizer } from './tokenizer/chat-tokenizer.js';

const MAX_TEXT_BYTES = 65_536;
const MAX_ID_LENGTH = 128;
const MAX_OPENERS = 64;
/** The opener tree is at most this deep (design.md). */
const MAX_OPENER_TOKENS = 4;

export interface TokenizedPrompt extends PromptInput {
  readonly id: string;
  /** One past the last instruction token. */
  readonly instructionEnd: number;
}

/** Everything that decides whether a request fits. */
export interface Door {
  readonly modelName: string;
  readonly spec: ModelSpec;
  readonly tokenizer: ChatTokenizer;
  readonly limits: InferenceLimits;
}

/** Tokens of prompt and answer together that are served. */
export const contextOf = ({ spec, limits }: Door): number => Math.min(spec.contextLength, limits.maxTokens);

export function assertModel(door: Door, model: string): void {
  if (model === '' || model === door.modelName) return;
  throw fault(
    'MODEL_UNKNOWN',
    `No model "${model.slice(0, 128)}" is served here; this service has "${door.modelName}".`,
  );
}

export function assertCount(given: number, limit: number, what: string): void {
  if (given > limit)
    throw fault('REQUEST_TOO_LARGE', `The request has ${given} ${what}; at most ${limit} are allowed. Split it.`);
}

/** `extraTokens`: what will be appended behind the prompt. */
export function decodePrompts(door: Door, prompts: readonly Prompt[], extraTokens = 0): TokenizedPrompt[] {
  if (prompts.length === 0) throw fault('REQUEST_INVALID', 'The request has no prompts.');
  assertCount(prompts.length, door.limits.maxPrompts, 'prompts');
  return prompts.map((prompt, i) => {
    const tokenized = tokenizePrompt(door, prompt, i);
    const total = tokenized.tokenIds.length + extraTokens;
    if (total > contextOf(door)) {
      const added = extraTokens > 0 ? ` and ${extraTokens} for the answer` : '';
      throw fault(
        'PROMPT_TOO_LONG',
        `Prompt ${i} has ${tokenized.tokenIds.length} tokens${added}; the context holds ${contextOf(door)}.`,
      );
    }
    return tokenized;
  });
}

function tokenizePrompt(door: Door, prompt: Prompt, index: number): TokenizedPrompt {
  const { id, input } = prompt;
  if (id.length > MAX_ID_LENGTH) {
    throw fault(
      'REQUEST_INVALID',
      `The id of prompt ${index} has ${id.length} characters; at most ${MAX_ID_LENGTH} are allowed.`,
    );
  }
  if (input === undefined) throw fault('PROMPT_EMPTY', `Prompt ${index} has neither text nor token ids.`);
  if (input.$case === 'tokenIds') return fromTokens(door, prompt, input.value.ids, index);
  const bytes = Buffer.byteLength(input.value);
  if (bytes > MAX_TEXT_BYTES) {
    throw fault('PROMPT_TOO_LONG', `Prompt ${index} has ${bytes} bytes of text; at most ${MAX_TEXT_BYTES} are read.`);
  }
  if (input.value.trim() === '') throw fault('PROMPT_EMPTY', `Prompt ${index} is empty.`);
  const { tokenIds, instructionStart, instructionEnd } = door.tokenizer.encodeChat([
    { role: 'user', content: input.value },
  ]);
  return { id, tokenIds, instructionStart, instructionEnd, promptLength: tokenIds.length };
}

function fromTokens(door: Door, prompt: Prompt, ids: readonly number[], index: number): TokenizedPrompt {
  if (ids.length === 0) throw fault('PROMPT_EMPTY', `Prompt ${index} has no token ids.`);
  assertTokens(door, ids, `Prompt ${index}`);
  const instructionStart = prompt.instructionStart ?? Math.min(1, ids.length - 1);
  if (instructionStart >= ids.length) {
    throw fault(
      'REQUEST_INVALID',
      `The instruction of prompt ${index} starts at ${instructionStart}, but it has ${ids.length} tokens.`,
    );
  }
  return { id: prompt.id, tokenIds: [...ids], instructionStart, instructionEnd: ids.length, promptLength: ids.length };
}

export function assertTokens({ spec }: Door, ids: readonly number[], where: string): void {
  const bad = ids.find((id) => id >= spec.vocabSize);
  if (bad !== undefined) {
    throw fault('REQUEST_INVALID', `${where} has token id ${bad}; the vocabulary has ${spec.vocabSize} tokens.`);
  }
}

export function decodeScore(door: Door, score: WireScoreSpec | undefined): ScoreSpec {
  if (score === undefined || score.openers.length === 0) {
    throw fault('REQUEST_INVALID', 'score.openers is empty: name 1 to 64 token sequences that open a refusal.');
  }
  assertCount(score.openers.length, MAX_OPENERS, 'openers');
  const openers = score.openers.map(({ ids }, i) => {
    if (ids.length < 1 || ids.length > MAX_OPENER_TOKENS) {
      throw fault('REQUEST_INVALID', `Opener ${i} has ${ids.length} tokens; 1 to ${MAX_OPENER_TOKENS} are allowed.`);
    }
    assertTokens(door, ids, `Opener ${i}`);
    return ids;
  });
  assertTokens(door, [...score.firstTokenIds, score.iTokenId], 'The score');
  return { openers, firstTokenIds: score.firstTokenIds, iTokenId: score.iTokenId };
}

/** Undefined where no bank is named. */
export function decodeBank(door: Door, reference: BankReference | undefined): BankInput | undefined {
  const bank = reference?.bank;
  if (bank === undefined) return undefined;
  if (bank.$case === 'digest') return { digest: bank.value };
  return { layers: decodeLayers(door, bank.value) };
}

function decodeLayers(door: Door, bank: WireBank): LayerEditsInput[] {
  const layers = bank.layers.map((edits, i) => decodeLayerEdits(door, edits, `bank.layers[${i}]`));
  const edits = layers.reduce((sum, { bias }) => sum + bias.length, 0);
  assertCount(edits, door.limits.maxBankEdits, 'edits in its bank');
  return layers;
}

function decodeLayerEdits({ spec }: Door, edits: LayerEdits, name: string): LayerEditsInput {
  if (edits.layer >= spec.nLayers) {
    throw fault('LAYER_UNKNOWN', `${name} edits layer ${edits.layer}; the model has layers 0 to ${spec.nLayers - 1}.`);
  }
  const read = decodeMatrix(edits.read, { name: `${name}.read`, cols: spec.dModel });
  const count = read.rows;
  if (count === 0) throw fault('REQUEST_INVALID', `${name} has no edits: leave the layer out instead.`);
  const row = (field: 'bias' | 'threshold' | 'target') =>
    decodeMatrix(edits[field], {
      name: `${name}.${field}`,
      rows: 1,
      cols: count,
      allowNegativeInfinity: field === 'threshold',
    }).data;
  return {
    layer: edits.layer,
    read: read.data,
    bias: row('bias'),
    threshold: row('threshold'),
    target: row('target'),
    write: decodeMatrix(edits.write, { name: `${name}.write`, rows: count, cols: spec.dModel }).data,
    positions: decodePositions(edits.positions),
  };
}
