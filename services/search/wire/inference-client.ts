/**
 * The model port over the inference service. Banks are large and asked through often, so a bank goes by digest once the pod has named
 * it, and inline again if the pod no longer holds it (another pod behind the same name, a restart).
 */
import { createHash } from 'node:crypto';
import {
  type EvaluationResult,
  FinishReason,
  type GenerateResponse,
  type InferenceServiceDefinition,
} from '../../../proto/gen/refusalscope/v1/inference.js';
import type {
  BankReference,
  EditBank,
  Provenance,
  LayerEdits as WireLayerEdits,
} from '../../../proto/gen/refusalscope/v1/types.js';
import { fault, isFault } from '../../../shared/errors/fault.js';
import type { ServiceClient } from '../../../shared/rpc/connect.js';
import { encodeMaskIndices } from '../../../shared/tensors/mask-bits.js';
import { decodeMatrix, encodeMatrix, encodeRow } from '../../../shared/tensors/matrix.js';
import { encodePositions } from '../../../shared/tensors/positions.js';
import type { Bank, LayerEdits } from '../model/bank.js';
import type {
  Answer,
  AnsweredEvaluation,
  CapturedPrompt,
  CaptureRequest,
  CrossEntropyRequest,
  EvaluationBatch,
  GenerateRequest,
  ModelFacts,
  RefusalModel,
} from '../model/model-port.js';
import { decodeProof, encodePrompt, encodeScore } from './shared-types.js';

export type InferenceClient = ServiceClient<typeof InferenceServiceDefinition>;

/** Where a service states no limit. */
const FALLBACK_LIMITS = { maxPrompts: 64, maxEvaluations: 256, maxBankEdits: 4096, maxNewTokens: 256 };

export function createInferenceModel(client: InferenceClient): RefusalModel {
  const digests = new WeakMap<Bank, string>();
  return {
    describe: async (model, signal) => describeModel(client, model, signal),
    tokenize: async (prompts, pieces, signal) => {
      const request = { prompts: prompts.map(encodePrompt), pieces: [...pieces] };
      return client.tokenize(request, { signal });
    },
    evaluate: (batch, signal) => evaluate(client, digests, batch, signal),
    capture: (request, signal) => capture(client, digests, request, signal),
    generate: (request, signal) => generate(client, digests, request, signal),
    crossEntropy: (request, signal) => crossEntropy(client, digests, request, signal),
  };
}

async function describeModel(client: InferenceClient, model: string, signal: AbortSignal): Promise<ModelFacts> {
  const described = await client.describeModel({ model }, { signal });
  const { nLayers, dModel, templateSuffixLength, limits } = described;
  const limit = (name: keyof typeof FALLBACK_LIMITS) => limits?.[name] || FALLBACK_LIMITS[name];
  return {
    model: described.model,
    nLayers,
    dModel,
    templateSuffixLength,
    digest: digestOfModel(described.provenance),
    limits: {
      maxPrompts: limit('maxPrompts'),
      maxEvaluations: limit('maxEvaluations'),
      maxBankEdits: limit('maxBankEdits'),
      maxNewTokens: limit('maxNewTokens'),
    },
  };
}

/** What decides a score. The name and the device do not: a score is the same whatever a model is called. */
function digestOfModel(provenance: Provenance | undefined): string {
  if (provenance === undefined || provenance.weightsSha256 === '')
    throw fault('PEER_UNAVAILABLE', 'Inference states no digest of its weights, so evaluations cannot be told apart.');
  const { weightsSha256, adapterSha256, tokenizerSha256, chatTemplateSha256, computeDtype } = provenance;
  const parts = [weightsSha256, adapterSha256, tokenizerSha256, chatTemplateSha256, computeDtype];
  return createHash('sha256').update(parts.join('\n')).digest('hex');
}

const encodeEdits = (edits: LayerEdits): WireLayerEdits => ({
  layer: edits.layer,
  read: encodeMatrix(edits.read),
  bias: encodeRow(edits.bias),
  threshold: encodeRow(edits.threshold),
  write: encodeMatrix(edits.write),
  target: encodeRow(edits.target),
  positions: encodePositions(edits.positions),
  names: [...edits.names],
});

export const encodeBank = (bank: Bank): EditBank => ({ layers: bank.layers.map(encodeEdits) });

const encodeInline = (bank: Bank): BankReference => ({ bank: { $case: 'inline', value: encodeBank(bank) } });

/** Runs a call with the bank by digest if one is known, and once more inline if the pod lacks it; nothing was yielded by then. */
async function* withBank<Out>(
  digests: WeakMap<Bank, string>,
  bank: Bank | undefined,
  call: (reference: BankReference | undefined) => AsyncIterable<Out>,
): AsyncGenerator<Out> {
  if (bank === undefined || bank.size === 0) return yield* call(undefined);
  const digest = digests.get(bank);
  if (digest !== undefined) {
    try {
      return yield* call({ bank: { $case: 'digest', value: digest } });
    } catch (problem) {
      if (!isFault(problem, 'BANK_UNKNOWN')) throw problem;
      digests.delete(bank);
    }
  }
  yield* call(encodeInline(bank));
}

async function* evaluate(
  client: InferenceClient,
  digests: WeakMap<Bank, string>,
  batch: EvaluationBatch,
  signal: AbortSignal,
): AsyncGenerator<AnsweredEvaluation[]> {
  const request = encodeEvaluations(batch);
  const call = (bank: BankReference | undefined) => client.evaluateMasks({ ...request, bank }, { signal });
  for await (const { results, bankDigest } of withBank(digests, batch.bank, call)) {
    if (bankDigest !== '') digests.set(batch.bank, bankDigest);
    yield results.map((result) => decodeResult(result, batch.evaluations.length));
  }
}

/** The request but for its model and bank. */
export const encodeEvaluations = (batch: EvaluationBatch) => ({
  prompts: batch.prompts.map(encodePrompt),
  score: encodeScore(batch.score),
  evaluations: batch.evaluations.map(({ prompt, on }) => ({
    promptIndex: prompt,
    mask: { bits: encodeMaskIndices(on, batch.bank.size) },
  })),
  firstTokenKl: batch.firstTokenKl,
});

export function decodeResult(result: EvaluationResult, count: number): AnsweredEvaluation {
  const { evaluationIndex: index, refusalScore, firstTokenScore, pI, firstTokenKl, acted, tokenBlocks } = result;
  if (index >= count) throw fault('INTERNAL', `Inference answered evaluation ${index} of a batch of ${count}.`);
  const proof = decodeProof(result.proof);
  return { index, evaluation: { refusalScore, firstTokenScore, pI, firstTokenKl, acted, proof }, tokenBlocks };
}

async function* capture(
  client: InferenceClient,
  digests: WeakMap<Bank, string>,
  request: CaptureRequest,
  signal: AbortSignal,
): AsyncGenerator<CapturedPrompt> {
  const { edits } = request;
  const hasEdits = edits !== undefined && edits.bank.size > 0;
  const call = (bank: BankReference | undefined) =>
    client.captureResiduals(
      {
        prompts: request.prompts.map(encodePrompt),
        layers: [...request.layers],
        positions: [...request.positions],
        bank,
        ...(hasEdits && { mask: { bits: encodeMaskIndices(edits.on, edits.bank.size) } }),
      },
      { signal },
    );
  for await (const { promptIndex, positions, layers, proof } of withBank(digests, edits?.bank, call)) {
    const residuals = new Map(
      layers.map(({ layer, residual }) => [layer, decodeMatrix(residual, { name: `the residual of layer ${layer}` })]),
    );
    yield { promptIndex, positions, residuals, proof: decodeProof(proof) };
  }
}

interface AnswerDraft {
  tokenIds: number[];
  pieces: string[];
  last: GenerateResponse | undefined;
}

async function generate(
  client: InferenceClient,
  digests: WeakMap<Bank, string>,
  { prompts, edits, maxNewTokens }: GenerateRequest,
  signal: AbortSignal,
): Promise<Answer[]> {
  const drafts = prompts.map((): AnswerDraft => ({ tokenIds: [], pieces: [], last: undefined }));
  const hasEdits = edits !== undefined && edits.bank.size > 0;
  const masks = hasEdits ? edits.on.map((on) => ({ bits: encodeMaskIndices(on, edits.bank.size) })) : [];
  const call = (bank: BankReference | undefined) =>
    client.generate({ prompts: prompts.map(encodePrompt), bank, masks, maxNewTokens }, { signal });
  for await (const response of withBank(digests, edits?.bank, call)) {
    const draft = drafts[response.promptIndex];
    if (draft === undefined)
      throw fault('INTERNAL', `Inference answered prompt ${response.promptIndex} of ${prompts.length}.`);
    draft.tokenIds.push(response.tokenId);
    draft.pieces.push(response.text);
    if (response.finishReason !== FinishReason.FINISH_REASON_UNSPECIFIED) draft.last = response;
  }
  return drafts.map(({ tokenIds, pieces, last }) => {
    if (last === undefined) throw fault('PEER_UNAVAILABLE', 'Inference ended an answer before its last token.');
    const ended = last.finishReason === FinishReason.FINISH_REASON_END_TOKEN;
    return { tokenIds, pieces, ended, proof: decodeProof(last.proof) };
  });
}

async function crossEntropy(
  client: InferenceClient,
  digests: WeakMap<Bank, string>,
  { prompts, continuations, edits }: CrossEntropyRequest,
  signal: AbortSignal,
): Promise<number[]> {
  const hasEdits = edits !== undefined && edits.bank.size > 0;
  const request = {
    prompts: prompts.map(encodePrompt),
    continuations: continuations.map((ids) => ({ ids: [...ids] })),
    masks: hasEdits ? [{ bits: encodeMaskIndices(edits.on, edits.bank.size) }] : [],
  };
  const call = async function* (bank: BankReference | undefined) {
    yield await client.measureCrossEntropy({ ...request, bank }, { signal });
  };
  const nats: number[] = [];
  for await (const { natsPerToken } of withBank(digests, edits?.bank, call)) nats.push(...natsPerToken);
  if (nats.length !== prompts.length)
    throw fault('PEER_UNAVAILABLE', `Inference measured ${nats.length} of ${prompts.length} continuations.`);
  return nats;
}
