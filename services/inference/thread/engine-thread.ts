/**
 * The entry of the engine's thread: holds the model and answers jobs. onnxruntime blocks the thread it runs on, so everything that
 * touches it lives here, and the process's own event loop stays free for heartbeats and health checks.
 */
import { workerData } from 'node:worker_threads';
import { fault } from '../../../shared/errors/fault.js';
import { decodeMask } from '../../../shared/tensors/mask-bits.js';
import { type JobHandlers, serveJobs } from '../../../shared/threads/serve-jobs.js';
import { capture } from '../engine/capture.js';
import { crossEntropy } from '../engine/cross-entropy.js';
import { createEditBank, type EditBank } from '../engine/edit-bank.js';
import { Evaluator } from '../engine/evaluator.js';
import { generate } from '../engine/generate.js';
import { OpenerTree } from '../engine/opener-tree.js';
import type { EvaluationCall } from '../engine/pending-evaluation.js';
import { StateCache } from '../engine/state-cache.js';
import { Transformer } from '../engine/transformer.js';
import { tuneBatch } from '../engine/tune-batch.js';
import { createWeights, type WeightOptions } from '../graph/create-weights.js';
import { openModel } from '../model/open-model.js';
import { BankCache } from './bank-cache.js';
import type { BankInput, EngineOptions, Jobs, LoadingEngine, MaskInput, ReadyEngine } from './messages.js';

/** Evaluations that walk the tree of states at once: enough to fill batches from several prompts. */
const MAX_ACTIVE = 512;
/** Batches whose time is kept for the next question about statistics. */
const MAX_BATCHES = 4096;

function createHandlers(
  transformer: Transformer,
  evaluator: Evaluator,
  cache: StateCache,
  batchSeconds: number[],
): JobHandlers<Jobs> {
  const banks = new BankCache();
  const ticketOf = new WeakMap<EvaluationCall, number>();
  const resolve = (input: BankInput): EditBank => {
    if ('layers' in input) return banks.keep(createEditBank(input.layers, transformer.spec.dModel));
    return banks.find(input.digest);
  };
  const optional = (input: BankInput | undefined) => (input === undefined ? undefined : resolve(input));
  return {
    evaluate: async ({ prompts, bank: bankInput, score, evaluations, firstTokenKl, ticket }, { emit, signal }) => {
      const bank = resolve(bankInput);
      const masked = evaluations.map(({ prompt, bits }) => ({ prompt, mask: decodeMask(bits, bank.size) }));
      const bankDigest = bank.digest;
      const onResults: EvaluationCall['onResults'] = (results) => emit({ results, bankDigest });
      const onMet: EvaluationCall['onMet'] = (others) =>
        emit({ results: [], bankDigest, met: others.flatMap((one) => ticketOf.get(one) ?? []) });
      const tree = new OpenerTree(score);
      const call = { prompts, bank, tree, evaluations: masked, firstTokenKl, onResults, signal };
      const seen: EvaluationCall = ticket === undefined ? call : { ...call, onMet };
      if (ticket !== undefined) ticketOf.set(seen, ticket);
      await evaluator.evaluate(seen);
      return { bankDigest };
    },
    generate: async ({ bank: bankInput, ...input }, { emit, signal }) => {
      const bank = optional(bankInput);
      const masks = input.masks.map((bits) => flagsOf(bits, bank));
      await generate(transformer, { ...input, masks, bank, onToken: emit, signal });
      return {};
    },
    capture: async ({ bank: bankInput, positions, ...input }, { emit, signal }) => {
      const bank = optional(bankInput);
      const mask = flagsOf(input.mask, bank);
      const positionsOf = (length: number) => resolvePositions(positions, length);
      await capture(transformer, { ...input, mask, bank, positionsOf, onPrompt: emit, signal });
      return {};
    },
    crossEntropy: async ({ bank: bankInput, ...input }, { signal }) => {
      const bank = optional(bankInput);
      const masks = input.masks.map((bits) => flagsOf(bits, bank));
      return crossEntropy(transformer, { ...input, masks, bank, signal });
    },
    statistics: async () => ({
      tokenBlocks: transformer.tokenBlocks,
      cacheBytes: cache.bytes,
      states: cache.states,
      queued: evaluator.queued,
      batchSeconds: batchSeconds.splice(0),
    }),
  };
}

/** Flags, one an edit of the bank. Throws MASK_WRONG_LENGTH. */
const flagsOf = (bits: MaskInput, bank: EditBank | undefined): Uint8Array | undefined =>
  bits === undefined ? undefined : decodeMask(bits, bank?.size ?? 0);

function resolvePositions(wanted: readonly number[], length: number): number[] {
  if (wanted.length === 0) return Array.from({ length }, (_, i) => i);
  return wanted.map((position) => {
    const index = position < 0 ? length + position : position;
    if (index >= 0 && index < length) return index;
    throw fault('REQUEST_INVALID', `Position ${position} was asked for; the prompt has ${length} tokens.`);
  });
}

/** Integer kernels are a way to hold the weights; 16-bit floats are a type to compute in. */
function weightOptions({ compute, device }: EngineOptions): WeightOptions {
  if (compute === 'int8' || compute === 'int4') return { mode: compute };
  return compute === 'float32' ? {} : { computeType: compute, device };
}

await serveJobs<Jobs, ReadyEngine, LoadingEngine>(async (onLoading) => {
  const options = workerData as EngineOptions;
  const model = openModel(options.modelPath, options.adapterPath);
  const { spec, weights } = model;
  const choice = createWeights(model, weightOptions(options));
  const runtime = { threads: options.threads, device: options.device, ...choice.runtime };
  const transformer = await Transformer.create(spec, weights, choice.sink, runtime, (done, total) =>
    onLoading({ done, total }),
  );
  choice.sink.close?.();
  const tuning = await tuneBatch(transformer);
  const cache = new StateCache(options.cacheBytes, spec.dModel);
  const batchSeconds: number[] = [];
  const evaluator = new Evaluator(transformer, cache, {
    batchTokens: tuning.batchTokens,
    maxActive: MAX_ACTIVE,
    onBatch: (seconds) => {
      batchSeconds.push(seconds);
      if (batchSeconds.length > MAX_BATCHES) batchSeconds.shift();
    },
  });
  const files = model.files.filter((file) => !model.adapter?.files.includes(file));
  return { handlers: createHandlers(transformer, evaluator, cache, batchSeconds), ready: { spec, tuning, files } };
});
