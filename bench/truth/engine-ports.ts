/**
 * The search's two ports, straight on the inference engine and the SAE store: the code that the services run on their threads, without
 * the threads and the wire between. A planted model is so small that starting two services would take longer than the search itself;
 * test/integration/truth holds both ways against each other.
 */
import { capture } from '../../services/inference/engine/capture.js';
import { crossEntropy } from '../../services/inference/engine/cross-entropy.js';
import { createEditBank, type EditBank } from '../../services/inference/engine/edit-bank.js';
import { Evaluator } from '../../services/inference/engine/evaluator.js';
import { generate } from '../../services/inference/engine/generate.js';
import { OpenerTree } from '../../services/inference/engine/opener-tree.js';
import type { EvaluationOutput } from '../../services/inference/engine/pending-evaluation.js';
import type { PromptInput } from '../../services/inference/engine/scored-prompt.js';
import { StateCache } from '../../services/inference/engine/state-cache.js';
import { Transformer } from '../../services/inference/engine/transformer.js';
import { Float32Weights } from '../../services/inference/graph/float32-weights.js';
import { openModel } from '../../services/inference/model/open-model.js';
import { createStreamDecoder } from '../../services/inference/tokenizer/stream-decoder.js';
import { createTokenizerFromFolder } from '../../services/inference/tokenizer/tokenizer-from-folder.js';
import { findSaes } from '../../services/sae/find-saes.js';
import { SaeStore } from '../../services/sae/sae-store.js';
import { type Bank, createBank } from '../../services/search/model/bank.js';
import type { Answer, CapturedPrompt, Prompt, RefusalModel } from '../../services/search/model/model-port.js';
import type { SaeSource } from '../../services/search/model/sae-port.js';
import { formatFeature } from '../../shared/tensors/feature-name.js';

/** Enough to fill the batches of a model this small; measured once, not at every start. */
const BATCH_TOKENS = 1024;
const MAX_ACTIVE = 512;
const CACHE_BYTES = 64 << 20;
const LIMITS = { maxPrompts: 1024, maxEvaluations: 16_384, maxBankEdits: 16_384, maxNewTokens: 1024 };

interface Input extends PromptInput {
  readonly instructionEnd: number;
}

/** `digest` names the weights in the keys of evaluations. Throws the faults of unusable files. */
export async function openEngine(folder: string, digest: string): Promise<RefusalModel & { close(): Promise<void> }> {
  const { spec, weights } = openModel(folder);
  const tokenizer = await createTokenizerFromFolder(folder);
  const runtime = { threads: 1, device: 'cpu' };
  const transformer = await Transformer.create(spec, weights, new Float32Weights(weights), runtime);
  const cache = new StateCache(CACHE_BYTES, spec.dModel);
  const evaluator = new Evaluator(transformer, cache, { batchTokens: BATCH_TOKENS, maxActive: MAX_ACTIVE });
  const banks = new WeakMap<Bank, EditBank>();
  const bankOf = (bank: Bank): EditBank => {
    const layers = bank.layers.map((edits) => ({ ...edits, read: edits.read.data, write: edits.write.data }));
    const found = banks.get(bank) ?? createEditBank(layers, spec.dModel);
    banks.set(bank, found);
    return found;
  };
  const inputs = new WeakMap<Prompt, Input>();
  const inputOf = (prompt: Prompt): Input => {
    const found = inputs.get(prompt) ?? readInput(prompt);
    inputs.set(prompt, found);
    return found;
  };
  const readInput = ({ input }: Prompt): Input => {
    if (input.kind === 'tokens') {
      const start = input.instructionStart ?? 1;
      return {
        tokenIds: input.ids,
        instructionStart: start,
        instructionEnd: input.ids.length,
        promptLength: input.ids.length,
      };
    }
    const { tokenIds, instructionStart, instructionEnd } = tokenizer.encodeChat([
      { role: 'user', content: input.text },
    ]);
    return { tokenIds, instructionStart, instructionEnd, promptLength: tokenIds.length };
  };
  const maskOf = (size: number, on: readonly number[]): Uint8Array => {
    const mask = new Uint8Array(size);
    for (const edit of on) mask[edit] = 1;
    return mask;
  };
  const frame = inputOf({ id: '', input: { kind: 'text', text: 'Zebra' } });
  return {
    describe: async () => ({
      model: 'planted',
      nLayers: spec.nLayers,
      dModel: spec.dModel,
      templateSuffixLength: frame.tokenIds.length - frame.instructionEnd,
      digest,
      limits: LIMITS,
    }),
    tokenize: async (prompts, pieces) => ({
      prompts: prompts.map(inputOf).map(({ tokenIds, ...span }) => ({ tokenIds: [...tokenIds], ...span })),
      pieces: pieces.map((piece) => {
        const tokenIds = tokenizer.encode(piece);
        return { tokenIds, tokenTexts: tokenIds.map((id) => tokenizer.decode([id])) };
      }),
    }),
    evaluate: async function* (batch, signal) {
      const bank = bankOf(batch.bank);
      const outputs: EvaluationOutput[] = [];
      await evaluator.evaluate({
        prompts: batch.prompts.map(inputOf),
        bank,
        tree: new OpenerTree(batch.score),
        evaluations: batch.evaluations.map(({ prompt, on }) => ({ prompt, mask: maskOf(bank.size, on) })),
        firstTokenKl: batch.firstTokenKl,
        onResults: (results) => outputs.push(...results),
        signal,
      });
      yield outputs.map(({ index, tokenBlocks, firstTokenKl, ...evaluation }) => ({
        index,
        tokenBlocks,
        evaluation: { ...evaluation, firstTokenKl },
      }));
    },
    capture: async function* ({ prompts, layers, positions, edits }, signal) {
      const captured: CapturedPrompt[] = [];
      const bank = edits && bankOf(edits.bank);
      await capture(transformer, {
        prompts: prompts.map(inputOf),
        layers,
        positionsOf: (length) =>
          positions.length === 0
            ? Array.from({ length }, (_, i) => i)
            : positions.map((position) => (position < 0 ? length + position : position)),
        ...(bank && { bank, mask: maskOf(bank.size, edits.on) }),
        onPrompt: ({ prompt, positions: at, residuals, proof }) =>
          captured.push({
            promptIndex: prompt,
            positions: at,
            residuals: new Map(
              layers.map((layer, i) => [layer, { rows: at.length, cols: spec.dModel, data: residuals[i]! }]),
            ),
            proof,
          }),
        signal,
      });
      yield* captured;
    },
    generate: async ({ prompts, edits, maxNewTokens }, signal) => {
      const bank = edits && bankOf(edits.bank);
      const decoders = prompts.map(() => createStreamDecoder(tokenizer, { skipSpecial: true }));
      const answers = prompts.map(() => ({
        tokenIds: [] as number[],
        pieces: [] as string[],
        ended: false,
        proof: [] as Answer['proof'],
      }));
      await generate(transformer, {
        prompts: prompts.map(inputOf),
        ...(bank && { bank }),
        masks: prompts.map((_, i) => bank && maskOf(bank.size, edits.on[i]!)),
        maxNewTokens,
        endTokens: tokenizer.eosIds,
        onToken: ({ prompt, tokenId, finish, proof }) => {
          const answer = answers[prompt]!;
          const decoder = decoders[prompt]!;
          answer.tokenIds.push(tokenId);
          answer.pieces.push(decoder.push(tokenId) + (finish === undefined ? '' : decoder.end()));
          if (finish !== undefined) Object.assign(answer, { ended: finish === 'end-token', proof: proof ?? [] });
        },
        signal,
      });
      return answers;
    },
    crossEntropy: ({ prompts, continuations, edits }, signal) => {
      const bank = edits && bankOf(edits.bank);
      const masks = prompts.map(() => bank && maskOf(bank.size, edits.on));
      return crossEntropy(transformer, {
        prompts: prompts.map(inputOf),
        continuations,
        ...(bank && { bank }),
        masks,
        signal,
      });
    },
    close: () => transformer.close(),
  };
}

/** Throws the faults of unusable SAE folders. */
export function openSaes(folder: string): SaeSource & { close(): void } {
  const descriptions = findSaes([folder]);
  const store = new SaeStore(descriptions, 32 << 20);
  const checkpoint = () => {};
  return {
    list: async () => descriptions.map(({ layer, dSae }) => ({ layer, dSae, sha256: `planted-${layer}` })),
    nearest: async (layer, vector, count) =>
      store.nearest(layer, vector, count, checkpoint).map(({ index, cosine }) => ({ layer, index, cosine })),
    encode: async (layer, residual, features) =>
      features?.length === 0
        ? Array.from({ length: residual.rows }, () => ({ indices: [], values: [] }))
        : store.encode(layer, residual.data, residual.cols, features ?? [], checkpoint).map((row) => ({
            indices: [...row.indices],
            values: [...row.values],
          })),
    ablations: async (features, positions) =>
      createBank(
        store.editRows(features, checkpoint).map(({ layer, features: indices, dIn, read, write, ...rows }) => ({
          layer,
          names: indices.map((index) => formatFeature({ layer, index })),
          read: { rows: indices.length, cols: dIn, data: read },
          write: { rows: indices.length, cols: dIn, data: write },
          target: new Float32Array(indices.length),
          positions,
          bias: rows.bias,
          threshold: rows.threshold,
        })),
      ),
    close: () => store.close(),
  };
}
