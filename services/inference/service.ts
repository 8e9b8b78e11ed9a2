/** The handlers of the inference service: wire types in, jobs for the engine's thread, wire types out. */
import {
  type CaptureResidualsRequest,
  type CaptureResidualsResponse,
  type DescribeModelResponse,
  FinishReason,
  type GenerateRequest,
  type GenerateResponse,
  InferenceServiceDefinition,
  type MeasureCrossEntropyRequest,
  type TokenizeRequest,
} from '../../proto/gen/refusalscope/v1/inference.js';
import type { Mask, Provenance } from '../../proto/gen/refusalscope/v1/types.js';
import { fault } from '../../shared/errors/fault.js';
import { type BoundService, bindService } from '../../shared/rpc/start-server.js';
import { streamOf } from '../../shared/streams/stream-of.js';
import { encodeMatrix } from '../../shared/tensors/matrix.js';
import {
  assertCount,
  assertModel,
  assertTokens,
  contextOf,
  type Door,
  decodeBank,
  decodePrompts,
} from './decode-request.js';
import type { EvaluateMasks } from './evaluate-masks.js';
import type { EngineThread, Jobs, MaskInput } from './thread/messages.js';
import { createStreamDecoder, type StreamDecoder } from './tokenizer/stream-decoder.js';
import { toWireProof } from './wire-proof.js';

export interface InferenceParts extends Door {
  readonly engine: EngineThread;
  readonly provenance: Provenance;
  readonly cacheBytes: number;
  readonly evaluateMasks: EvaluateMasks;
}

export const createInferenceService = (parts: InferenceParts): BoundService =>
  bindService(InferenceServiceDefinition, {
    describeModel: async ({ model }) => {
      assertModel(parts, model);
      return describe(parts);
    },
    tokenize: async (request) => tokenize(parts, request),
    captureResiduals: (request, { signal }) => captureResiduals(parts, request, signal),
    evaluateMasks: (request, { signal }) => parts.evaluateMasks(request, signal),
    generate: (request, { signal }) => generate(parts, request, signal),
    measureCrossEntropy: async (request, { signal }) => ({
      natsPerToken: await measureCrossEntropy(parts, request, signal),
    }),
  });

function describe(parts: InferenceParts): DescribeModelResponse {
  const { spec, limits, tokenizer, provenance } = parts;
  const frame = tokenizer.encodeChat([{ role: 'user', content: 'Zebra' }]);
  return {
    model: parts.modelName,
    architecture: spec.architecture,
    nLayers: spec.nLayers,
    dModel: spec.dModel,
    vocabSize: spec.vocabSize,
    contextLength: contextOf(parts),
    instructionStart: frame.instructionStart,
    templateSuffixLength: frame.tokenIds.length - frame.instructionEnd,
    provenance,
    limits: { ...limits, cacheBytes: parts.cacheBytes },
  };
}

function tokenize(parts: InferenceParts, request: TokenizeRequest) {
  assertModel(parts, request.model);
  assertCount(request.pieces.length, parts.limits.maxPrompts, 'pieces');
  const prompts = request.prompts.length === 0 ? [] : decodePrompts(parts, request.prompts);
  return {
    prompts: prompts.map(({ id, tokenIds, instructionStart, instructionEnd }) => ({
      id,
      tokenIds: [...tokenIds],
      instructionStart,
      instructionEnd,
    })),
    pieces: request.pieces.map((piece) => {
      const tokenIds = parts.tokenizer.encode(piece);
      return { tokenIds, tokenTexts: tokenIds.map((id) => parts.tokenizer.decode([id])) };
    }),
  };
}

async function* captureResiduals(
  parts: InferenceParts,
  request: CaptureResidualsRequest,
  signal: AbortSignal,
): AsyncGenerator<CaptureResidualsResponse> {
  assertModel(parts, request.model);
  const prompts = decodePrompts(parts, request.prompts);
  const layers = checkLayers(parts, request.layers);
  const bank = decodeBank(parts, request.bank);
  const input = { prompts, layers, positions: request.positions, bank, mask: request.mask?.bits };
  for await (const captured of streamOf<Jobs['capture']['event']>(
    (emit, stop) => parts.engine.run('capture', input, stop, emit),
    signal,
  )) {
    yield {
      promptIndex: captured.prompt,
      promptId: prompts[captured.prompt].id,
      positions: [...captured.positions],
      layers: layers.map((layer, i) => ({
        layer,
        residual: encodeMatrix({
          rows: captured.positions.length,
          cols: parts.spec.dModel,
          data: captured.residuals[i],
        }),
      })),
      proof: captured.proof.map(toWireProof),
    };
  }
}

function checkLayers({ spec }: InferenceParts, layers: readonly number[]): readonly number[] {
  if (layers.length === 0) throw fault('REQUEST_INVALID', 'layers is empty: name the blocks whose outputs are wanted.');
  layers.forEach((layer, i) => {
    if (layer >= spec.nLayers) {
      throw fault('LAYER_UNKNOWN', `Layer ${layer} was asked for; the model has layers 0 to ${spec.nLayers - 1}.`);
    }
    if (i > 0 && layer <= layers[i - 1]) throw fault('REQUEST_INVALID', 'layers must be ascending, without repeats.');
  });
  return layers;
}

const FINISH = {
  'end-token': FinishReason.FINISH_REASON_END_TOKEN,
  length: FinishReason.FINISH_REASON_LENGTH,
} as const;

async function* generate(
  parts: InferenceParts,
  request: GenerateRequest,
  signal: AbortSignal,
): AsyncGenerator<GenerateResponse> {
  assertModel(parts, request.model);
  const { maxNewTokens } = request;
  if (maxNewTokens < 1) throw fault('REQUEST_INVALID', 'max_new_tokens is 0: ask for 1 token at least.');
  assertCount(maxNewTokens, parts.limits.maxNewTokens, 'new tokens');
  const prompts = decodePrompts(parts, request.prompts, maxNewTokens);
  const bank = decodeBank(parts, request.bank);
  const masks = masksFor(prompts.length, request.masks);
  const input = { prompts, bank, masks, maxNewTokens, endTokens: parts.tokenizer.eosIds };
  const decoders = prompts.map(() => createStreamDecoder(parts.tokenizer, { skipSpecial: true }));
  for await (const token of streamOf<Jobs['generate']['event']>(
    (emit, stop) => parts.engine.run('generate', input, stop, emit),
    signal,
  )) {
    yield {
      promptIndex: token.prompt,
      tokenId: token.tokenId,
      text: textOf(decoders[token.prompt], token),
      finishReason: token.finish === undefined ? FinishReason.FINISH_REASON_UNSPECIFIED : FINISH[token.finish],
      proof: (token.proof ?? []).map(toWireProof),
    };
  }
}

const textOf = (decoder: StreamDecoder, { tokenId, finish }: Jobs['generate']['event']): string =>
  decoder.push(tokenId) + (finish === undefined ? '' : decoder.end());

/** One mask a prompt from none (all on), one (for all) or one each. */
function masksFor(prompts: number, masks: readonly Mask[]): MaskInput[] {
  if (masks.length > 1 && masks.length !== prompts) {
    throw fault(
      'REQUEST_INVALID',
      `The request has ${masks.length} masks for ${prompts} prompts: send none, one, or one a prompt.`,
    );
  }
  return Array.from({ length: prompts }, (_, i) => masks[masks.length === 1 ? 0 : i]?.bits);
}

async function measureCrossEntropy(
  parts: InferenceParts,
  request: MeasureCrossEntropyRequest,
  signal: AbortSignal,
): Promise<number[]> {
  assertModel(parts, request.model);
  const continuations = request.continuations.map(({ ids }) => ids);
  const longest = Math.max(0, ...continuations.map((ids) => ids.length));
  const prompts = decodePrompts(parts, request.prompts, longest);
  if (continuations.length !== prompts.length) {
    throw fault(
      'REQUEST_INVALID',
      `The request has ${continuations.length} continuations for ${prompts.length} prompts.`,
    );
  }
  continuations.forEach((ids, i) => {
    if (ids.length === 0) throw fault('REQUEST_INVALID', `Continuation ${i} has no tokens.`);
    assertTokens(parts, ids, `Continuation ${i}`);
  });
  const bank = decodeBank(parts, request.bank);
  const input = { prompts, continuations, bank, masks: masksFor(prompts.length, request.masks) };
  return [...(await parts.engine.run('crossEntropy', input, signal))];
}
