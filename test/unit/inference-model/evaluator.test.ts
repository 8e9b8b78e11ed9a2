/** The tree of states, its frozen keys and its branches, on models with sliding windows and other shapes than the embedded one. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createEditBank, type EditBank } from '../../../services/inference/engine/edit-bank.js';
import { Evaluator } from '../../../services/inference/engine/evaluator.js';
import { OpenerTree } from '../../../services/inference/engine/opener-tree.js';
import type { EvaluationOutput } from '../../../services/inference/engine/pending-evaluation.js';
import { plainForward } from '../../../services/inference/engine/plain-forward.js';
import type { PromptInput } from '../../../services/inference/engine/scored-prompt.js';
import { Sequence } from '../../../services/inference/engine/sequence.js';
import { StateCache } from '../../../services/inference/engine/state-cache.js';
import { Transformer } from '../../../services/inference/engine/transformer.js';
import { createWeights } from '../../../services/inference/graph/create-weights.js';
import { openModel } from '../../../services/inference/model/open-model.js';
import { createSeededRandom } from '../../../shared/random/seeded-random.js';
import { modelFixtures } from './compare-model.js';

/** Openers that share a start, so that the tree branches. */
const OPENERS = [
  [7, 8, 9],
  [7, 8, 30],
  [7, 40],
  [50, 7],
];
const tree = new OpenerTree({ openers: OPENERS, firstTokenIds: [7, 50], iTokenId: 7 });

const random = createSeededRandom(11);
const normal = (n: number, scale: number): Float32Array =>
  Float32Array.from({ length: n }, () => scale * (random.uniform() + random.uniform() + random.uniform() - 1.5));

/** Longer than the window of 8, and of unequal lengths. */
const prompts: PromptInput[] = [30, 23].map((length) => ({
  tokenIds: Array.from({ length }, () => 3 + Math.floor(random.uniform() * 150)),
  instructionStart: 12,
  promptLength: length,
}));

/** Rectified edits on two layers, from the instruction on: which of them act differs from prompt to prompt. */
const bankOf = (dModel: number, layers: readonly number[]): EditBank =>
  createEditBank(
    layers.map((layer) => ({
      layer,
      read: normal(3 * dModel, 0.5),
      write: normal(3 * dModel, 0.5),
      bias: normal(3, 0.1),
      threshold: new Float32Array(3),
      target: new Float32Array(3),
      positions: { span: 'instruction', start: 0, end: 0, includeBos: false },
    })),
    dModel,
  );

/** log p(R) - log(1 - p(R)) from whole runs of prompt and opener, in float64. */
async function plainScore(
  transformer: Transformer,
  prompt: PromptInput,
  bank: EditBank,
  mask: Uint8Array,
): Promise<number> {
  const { dModel, vocabSize } = transformer.spec;
  let refusal = 0;
  for (const opener of OPENERS) {
    const tokenIds = [...prompt.tokenIds, ...opener.slice(0, -1)];
    const sequence = new Sequence({ ...prompt, tokenIds }, mask, transformer.spec, tokenIds.length);
    const [rows] = await plainForward(transformer, [sequence], bank);
    const scored = rows.slice(-opener.length * dModel);
    const { logits } = await transformer.runHead(scored, new BigInt64Array(opener.length), true);
    const chance = opener.map((id, i) => {
      const row = [...(logits as Float32Array).subarray(i * vocabSize, (i + 1) * vocabSize)];
      return Math.exp(row[id]) / row.reduce((sum, value) => sum + Math.exp(value), 0);
    });
    refusal += chance.reduce((product, p) => product * p, 1);
  }
  return Math.log(refusal) - Math.log1p(-refusal);
}

describe('refusal scores under edits are those of plain runs', () => {
  it.each(['mistral', 'qwen3', 'gemma2', 'gemma3'])('%s', async (name) => {
    const model = openModel(join(modelFixtures, name));
    const { sink, runtime } = createWeights(model, { mode: 'mapped' });
    const transformer = await Transformer.create(model.spec, model.weights, sink, {
      threads: 1,
      device: 'cpu',
      ...runtime,
    });
    const { dModel, nLayers } = transformer.spec;
    const bank = bankOf(dModel, [0, nLayers - 1]);
    const masks = [0, 0b111111, 0b000101, 0b110000].map((bits) =>
      Uint8Array.from({ length: 6 }, (_, i) => (bits >> i) & 1),
    );
    const evaluations = prompts.flatMap((_, prompt) => masks.map((mask) => ({ prompt, mask })));
    const evaluator = new Evaluator(transformer, new StateCache(64 << 20, dModel), { batchTokens: 128, maxActive: 64 });
    const results: EvaluationOutput[] = [];
    const onResults = (outputs: readonly EvaluationOutput[]) => {
      for (const output of outputs) results[output.index] = output;
    };
    const signal = new AbortController().signal;
    await evaluator.evaluate({ prompts, bank, tree, evaluations, firstTokenKl: false, onResults, signal });
    for (const [i, { prompt, mask }] of evaluations.entries()) {
      const expected = await plainScore(transformer, prompts[prompt], bank, mask);
      expect(Math.abs(results[i].refusalScore - expected)).toBeLessThan(1e-3);
    }
    // The control: edits that moved nothing would agree too.
    expect(Math.abs(results[1].refusalScore - results[0].refusalScore)).toBeGreaterThan(0.05);
    await transformer.close();
  });
});
