/** RefusalScope itself as a contestant, behind gRPC or with the engine's thread called directly, each from a cold cache. */
import { availableParallelism } from 'node:os';
import { InferenceServiceDefinition } from '../../proto/gen/refusalscope/v1/inference.js';
import type { EditBank } from '../../proto/gen/refusalscope/v1/types.js';
import type { LayerEditsInput } from '../../services/inference/engine/edit-bank.js';
import { startInferenceService } from '../../services/inference/start.js';
import type { EngineThread } from '../../services/inference/thread/messages.js';
import { startEngineThread } from '../../services/inference/thread/start-engine-thread.js';
import { connect } from '../../shared/rpc/connect.js';
import { encodeMask } from '../../shared/tensors/mask-bits.js';
import { decodeMatrix } from '../../shared/tensors/matrix.js';
import { decodePositions } from '../../shared/tensors/positions.js';
import { adapterFolder, golden, type WorkPrompt } from './workload.js';

export interface Score {
  readonly refusal_score: number;
  readonly first_token_score: number;
  readonly p_I: number;
}

/** One evaluation: a prompt's index and one character an edit. */
export interface Ask {
  readonly prompt: number;
  readonly mask: string;
}

export interface Contestant {
  evaluate(prompts: readonly WorkPrompt[], bank: EditBank, asks: readonly Ask[]): Promise<Score[]>;
  stop(): Promise<void>;
}

export const THREADS = Math.min(2, availableParallelism());
const CACHE_BYTES = 384 << 20;
const INSTRUCTION_START = 24;
/** Evaluations a call, as the search service sends them. */
const CALL = 256;

const bits = (mask: string): Buffer => encodeMask(Array.from(mask, (character) => (character === '1' ? 1 : 0)));

const inCalls = <Item>(items: readonly Item[]): Item[][] =>
  Array.from({ length: Math.ceil(items.length / CALL) }, (_, i) => items.slice(i * CALL, (i + 1) * CALL));

/** (a): a real server and a real client over loopback. */
export async function startOverGrpc(modelPath: string): Promise<Contestant> {
  const service = await startInferenceService({
    modelPath,
    adapterPath: adapterFolder,
    modelName: 'embedded',
    listen: '127.0.0.1:0',
    threads: THREADS,
    cacheBytes: CACHE_BYTES,
  });
  const { client, close } = connect(InferenceServiceDefinition, service.address);
  const score = {
    openers: golden.openers.map(({ token_ids }) => ({ ids: [...token_ids] })),
    firstTokenIds: [...golden.refusal_tokens],
    iTokenId: golden.I_token,
  };
  // As the search service does it: a bank goes over the wire once, and is named by its digest from then on.
  const digests = new Map<EditBank, string>();
  return {
    evaluate: async (prompts, bank, asks) => {
      const scores: Score[] = new Array(asks.length);
      const digest = digests.get(bank);
      const reference =
        digest === undefined ? { $case: 'inline' as const, value: bank } : { $case: 'digest' as const, value: digest };
      const wire = prompts.map(({ id, token_ids }) => ({
        id,
        input: { $case: 'tokenIds' as const, value: { ids: [...token_ids] } },
        instructionStart: INSTRUCTION_START,
      }));
      await Promise.all(
        inCalls(asks.map((ask, index) => ({ ask, index }))).map(async (call) => {
          const evaluations = call.map(({ ask }) => ({ promptIndex: ask.prompt, mask: { bits: bits(ask.mask) } }));
          const request = {
            prompts: wire,
            bank: { bank: reference },
            score,
            evaluations,
          };
          for await (const { results, bankDigest } of client.evaluateMasks(request)) {
            digests.set(bank, bankDigest);
            for (const { evaluationIndex, refusalScore, firstTokenScore, pI } of results) {
              scores[call[evaluationIndex].index] = {
                refusal_score: refusalScore,
                first_token_score: firstTokenScore,
                p_I: pI,
              };
            }
          }
        }),
      );
      return scores;
    },
    stop: async () => {
      close();
      await service.stop();
    },
  };
}

/** (b): the engine's thread, no wire. */
export async function startDirect(modelPath: string): Promise<Contestant & { readonly engine: EngineThread }> {
  const options = {
    modelPath,
    adapterPath: adapterFolder,
    threads: THREADS,
    device: 'cpu',
    compute: 'float32' as const,
    cacheBytes: CACHE_BYTES,
  };
  const engine = await startEngineThread(
    options,
    () => {},
    (problem) => {
      throw problem;
    },
  );
  const score = {
    openers: golden.openers.map(({ token_ids }) => token_ids),
    firstTokenIds: golden.refusal_tokens,
    iTokenId: golden.I_token,
  };
  const digests = new Map<EditBank, string>();
  return {
    engine,
    evaluate: async (prompts, bank, asks) => {
      const scores: Score[] = new Array(asks.length);
      const inputs = prompts.map(({ token_ids }) => ({
        tokenIds: token_ids,
        instructionStart: INSTRUCTION_START,
        promptLength: token_ids.length,
      }));
      const digest = digests.get(bank);
      const input = digest === undefined ? { layers: bank.layers.map(toInput) } : { digest };
      await Promise.all(
        inCalls(asks.map((ask, index) => ({ ask, index }))).map((call) => {
          const evaluations = call.map(({ ask }) => ({ prompt: ask.prompt, bits: bits(ask.mask) }));
          const job = { prompts: inputs, bank: input, score, evaluations, firstTokenKl: false };
          return engine.run('evaluate', job, new AbortController().signal, ({ results, bankDigest }) => {
            digests.set(bank, bankDigest);
            for (const { index, refusalScore, firstTokenScore, pI } of results) {
              scores[call[index].index] = { refusal_score: refusalScore, first_token_score: firstTokenScore, p_I: pI };
            }
          });
        }),
      );
      return scores;
    },
    stop: () => engine.stop(),
  };
}

const toInput = (edits: EditBank['layers'][number]): LayerEditsInput => ({
  layer: edits.layer,
  read: decodeMatrix(edits.read, { name: 'read' }).data,
  bias: decodeMatrix(edits.bias, { name: 'bias' }).data,
  threshold: decodeMatrix(edits.threshold, { name: 'threshold' }).data,
  write: decodeMatrix(edits.write, { name: 'write' }).data,
  target: decodeMatrix(edits.target, { name: 'target' }).data,
  positions: decodePositions(edits.positions),
});
