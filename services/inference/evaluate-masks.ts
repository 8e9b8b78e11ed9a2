/** Evaluations for whoever asks, over gRPC or from the work queue: one door, one limit, one engine. */
import type { EvaluateMasksRequest, EvaluateMasksResponse } from '../../proto/gen/refusalscope/v1/inference.js';
import { fault } from '../../shared/errors/fault.js';
import { streamOf } from '../../shared/streams/stream-of.js';
import { assertCount, assertModel, type Door, decodeBank, decodePrompts, decodeScore } from './decode-request.js';
import type { EvaluationOutput } from './engine/pending-evaluation.js';
import type { EngineThread, Jobs } from './thread/messages.js';
import { toWireProof } from './wire-proof.js';

export type EvaluateMasks = (
  request: EvaluateMasksRequest,
  signal: AbortSignal,
) => AsyncGenerator<EvaluateMasksResponse>;

interface EvaluationParts extends Door {
  readonly engine: EngineThread;
}

/** What it gives counts what waits, so that all callers share one limit: make one an engine. */
export const createEvaluateMasks = (parts: EvaluationParts): EvaluateMasks => {
  const queue = { waiting: 0 };
  return (request, signal) => evaluateMasks(parts, queue, request, signal);
};

async function* evaluateMasks(
  parts: EvaluationParts,
  queue: { waiting: number },
  request: EvaluateMasksRequest,
  signal: AbortSignal,
): AsyncGenerator<EvaluateMasksResponse> {
  assertModel(parts, request.model);
  const { limits } = parts;
  const count = request.evaluations.length;
  assertCount(count, limits.maxEvaluations, 'evaluations');
  const prompts = decodePrompts(parts, request.prompts);
  const score = decodeScore(parts, request.score);
  const bank = decodeBank(parts, request.bank) ?? { layers: [] };
  const evaluations = request.evaluations.map(({ promptIndex, mask }, i) => {
    if (promptIndex >= prompts.length) {
      throw fault(
        'REQUEST_INVALID',
        `Evaluation ${i} names prompt ${promptIndex}; the request has ${prompts.length} prompts.`,
      );
    }
    return { prompt: promptIndex, bits: mask?.bits ?? new Uint8Array(0) };
  });
  if (queue.waiting + count > limits.maxQueuedEvaluations) {
    throw fault(
      'BUSY',
      `${queue.waiting} evaluations are waiting; with ${count} more there would be over ${limits.maxQueuedEvaluations}. Try again later.`,
    );
  }
  queue.waiting += count;
  const input = { prompts, bank, score, evaluations, firstTokenKl: request.firstTokenKl };
  try {
    let bankDigest = '';
    for await (const event of streamOf<Jobs['evaluate']['event']>(async (emit, stop) => {
      ({ bankDigest } = await parts.engine.run('evaluate', input, stop, emit));
    }, signal)) {
      yield { results: event.results.map(toWireResult), bankDigest: event.bankDigest };
    }
    if (count === 0) yield { results: [], bankDigest };
  } finally {
    queue.waiting -= count;
  }
}

const toWireResult = (output: EvaluationOutput) => ({
  evaluationIndex: output.index,
  refusalScore: output.refusalScore,
  firstTokenScore: output.firstTokenScore,
  pI: output.pI,
  proof: output.proof.map(toWireProof),
  acted: output.acted,
  firstTokenKl: output.firstTokenKl,
  tokenBlocks: output.tokenBlocks,
});
