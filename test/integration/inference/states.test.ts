/** The tree of states against the plain way through the model, which shares its sessions and none of its shortcuts. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createEditBank, type EditBank, type LayerEditsInput } from '../../../services/inference/engine/edit-bank.js';
import { Evaluator } from '../../../services/inference/engine/evaluator.js';
import { OpenerTree } from '../../../services/inference/engine/opener-tree.js';
import type { EvaluationOutput } from '../../../services/inference/engine/pending-evaluation.js';
import { plainForward } from '../../../services/inference/engine/plain-forward.js';
import type { PromptInput } from '../../../services/inference/engine/scored-prompt.js';
import { Sequence } from '../../../services/inference/engine/sequence.js';
import { StateCache } from '../../../services/inference/engine/state-cache.js';
import { Transformer } from '../../../services/inference/engine/transformer.js';
import { Float32Weights } from '../../../services/inference/graph/float32-weights.js';
import { openModel } from '../../../services/inference/model/open-model.js';
import { ensureEmbeddedModel } from '../../../shared/model-store/ensure-model-file.js';
import { projectRoot } from '../../../shared/project/root.js';
import { createSeededRandom, type SeededRandom } from '../../../shared/random/seeded-random.js';
import { decodeMatrix } from '../../../shared/tensors/matrix.js';
import { decodePositions } from '../../../shared/tensors/positions.js';
import { featureEdits, golden } from './embedded-inference.js';

let transformer: Transformer;
const tree = new OpenerTree({
  openers: golden.openers.map(({ token_ids }) => token_ids),
  firstTokenIds: golden.refusal_tokens,
  iTokenId: golden.I_token,
});
/** Refusal read at the first answer token alone, so that the plain way needs no branches. */
const firstToken = new OpenerTree({ ...tree.spec, openers: [[golden.I_token]] });

beforeAll(async () => {
  const { path } = await ensureEmbeddedModel();
  const { spec, weights } = openModel(path, join(projectRoot, 'models/adapter'));
  transformer = await Transformer.create(spec, weights, new Float32Weights(weights), { threads: 2, device: 'cpu' });
});
afterAll(() => transformer?.close());

const prompts: PromptInput[] = golden.clean.slice(0, 4).map(({ token_ids }) => ({
  tokenIds: token_ids,
  instructionStart: 24,
  promptLength: token_ids.length,
}));

/** Features of the golden cases: near the direction, so that some act at once and some only behind others. */
const features = [...new Set(golden.edits.flatMap((edit) => edit.features ?? []))];
const bankOf = (names: readonly string[]): EditBank => {
  const layers = featureEdits(names, 0, { span: 2, start: 0, end: 0, includeBos: false });
  const inputs = layers.map(
    (edits): LayerEditsInput => ({
      layer: edits.layer,
      read: decodeMatrix(edits.read, { name: 'read' }).data,
      write: decodeMatrix(edits.write, { name: 'write' }).data,
      bias: decodeMatrix(edits.bias, { name: 'bias' }).data,
      threshold: decodeMatrix(edits.threshold, { name: 'threshold' }).data,
      target: decodeMatrix(edits.target, { name: 'target' }).data,
      positions: decodePositions(edits.positions),
    }),
  );
  return createEditBank(inputs, transformer.spec.dModel);
};

const randomMask = (random: SeededRandom, size: number, share: number): Uint8Array =>
  Uint8Array.from({ length: size }, () => (random.uniform() < share ? 1 : 0));

async function evaluate(
  cache: StateCache,
  bank: EditBank,
  evaluations: readonly { prompt: number; mask: Uint8Array }[],
  scored = tree,
  signal = new AbortController().signal,
): Promise<EvaluationOutput[]> {
  const evaluator = new Evaluator(transformer, cache, { batchTokens: 512, maxActive: 64 });
  const results: EvaluationOutput[] = [];
  const onResults = (outputs: EvaluationOutput[]) => {
    for (const output of outputs) results[output.index] = output;
  };
  await evaluator.evaluate({ prompts, bank, tree: scored, evaluations, firstTokenKl: false, onResults, signal });
  return results;
}

describe('states', () => {
  it('give what the plain way gives, under random masks', async () => {
    const random = createSeededRandom(3);
    const bank = bankOf(features.slice(0, 60));
    const evaluations = Array.from({ length: 24 }, (_, i) => ({
      prompt: i % prompts.length,
      mask: randomMask(random, bank.size, [0.02, 0.2, 0.5, 0.95][i % 4]),
    }));
    const results = await evaluate(new StateCache(256 << 20, transformer.spec.dModel), bank, evaluations, firstToken);
    for (const [i, { prompt, mask }] of evaluations.entries()) {
      const sequence = new Sequence(prompts[prompt], mask, transformer.spec, prompts[prompt].tokenIds.length);
      const [rows] = await plainForward(transformer, [sequence], bank);
      const last = rows.slice(-transformer.spec.dModel);
      const { specialLogits, restLse } = await transformer.runHead(last, BigInt64Array.of(BigInt(golden.I_token)));
      expect(Math.abs(results[i].refusalScore - (specialLogits[0] - restLse[0]))).toBeLessThan(1e-3);
      // The proof is the plain way's own (its branch token aside, which the plain way does not have).
      expect(results[i].proof.length).toBeGreaterThanOrEqual(sequence.proof.length);
      expect(results[i].acted).toBe(results[i].proof.length > 0);
    }
  });

  it('are computed once: the same masks again cost nothing', async () => {
    const random = createSeededRandom(4);
    const bank = bankOf(features.slice(0, 40));
    const evaluations = Array.from({ length: 12 }, (_, i) => ({
      prompt: i % 2,
      mask: randomMask(random, bank.size, 0.4),
    }));
    const cache = new StateCache(256 << 20, transformer.spec.dModel);
    const first = await evaluate(cache, bank, evaluations);
    expect(Math.max(...first.map(({ tokenBlocks }) => tokenBlocks))).toBeGreaterThan(0);
    const before = transformer.tokenBlocks;
    const second = await evaluate(cache, bank, evaluations);
    expect(transformer.tokenBlocks).toBe(before);
    expect(second.map(({ refusalScore }) => refusalScore)).toEqual(first.map(({ refusalScore }) => refusalScore));
    expect(second.every(({ tokenBlocks }) => tokenBlocks === 0)).toBe(true);
  });

  it('are shared between banks that hold the same edits', async () => {
    // The first 30 are 5 at each of the six layers, the next 30 are more of the same layers.
    const names = features.slice(0, 60);
    const cache = new StateCache(256 << 20, transformer.spec.dModel);
    const [first] = await evaluate(cache, bankOf(names.slice(0, 30)), [
      { prompt: 0, mask: new Uint8Array(30).fill(1) },
    ]);
    const large = bankOf(names);
    const order = names
      .map((name, i) => ({ i, layer: Number(name.split('/')[0]) }))
      .sort((a, b) => a.layer - b.layer || a.i - b.i);
    const mask = Uint8Array.from(order, ({ i }) => (i < 30 ? 1 : 0));
    const before = transformer.tokenBlocks;
    const [second] = await evaluate(cache, large, [{ prompt: 0, mask }]);
    expect(second.refusalScore).toBe(first.refusalScore);
    expect(transformer.tokenBlocks).toBe(before);
  });

  it('survive a budget that holds almost none of them', async () => {
    const random = createSeededRandom(5);
    const bank = bankOf(features.slice(0, 60));
    const evaluations = Array.from({ length: 30 }, (_, i) => ({
      prompt: i % 4,
      mask: randomMask(random, bank.size, 0.3),
    }));
    const roomy = await evaluate(new StateCache(256 << 20, transformer.spec.dModel), bank, evaluations);
    const tight = new StateCache(1 << 20, transformer.spec.dModel);
    const squeezed = await evaluate(tight, bank, evaluations);
    for (const [i, { refusalScore }] of squeezed.entries()) {
      expect(Math.abs(refusalScore - roomy[i].refusalScore)).toBeLessThan(1e-3);
    }
    expect(tight.bytes).toBeLessThanOrEqual(1 << 20);
  });

  it('an aborted call is left, and another one beside it is answered', async () => {
    const random = createSeededRandom(6);
    const bank = bankOf(features.slice(0, 60));
    const many = Array.from({ length: 40 }, () => ({ prompt: 0, mask: randomMask(random, bank.size, 0.5) }));
    const cache = new StateCache(256 << 20, transformer.spec.dModel);
    const evaluator = new Evaluator(transformer, cache, { batchTokens: 128, maxActive: 64 });
    const controller = new AbortController();
    const call = { prompts, bank, tree, firstTokenKl: false };
    const results: EvaluationOutput[] = [];
    const aborted = evaluator.evaluate({
      ...call,
      evaluations: many,
      onResults: () => controller.abort(new Error('enough')),
      signal: controller.signal,
    });
    const other = evaluator.evaluate({
      ...call,
      evaluations: many.slice(0, 3),
      onResults: (outputs) => results.push(...outputs),
      signal: new AbortController().signal,
    });
    await expect(aborted).rejects.toThrow('enough');
    await other;
    expect(results).toHaveLength(3);
    expect(evaluator.queued).toBe(0);
  });
});
