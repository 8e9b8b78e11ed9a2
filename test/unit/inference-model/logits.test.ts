import { describe, expect, it } from 'vitest';
import type { ModelSpec } from '../../../services/inference/model/model-spec.js';
import { compareModel } from './compare-model.js';
import { MODEL_COMPARISONS } from './model-comparisons.js';

describe('logits are those of float32 transformers, beyond the sliding window, in padded batches, edited and continued', () => {
  it.each(MODEL_COMPARISONS)('$model, $format', async ({ limit, format: _, ...comparison }) => {
    const { logits, edited, continued } = await compareModel(comparison);
    expect(logits).toBeLessThan(limit);
    expect(edited).toBeLessThan(limit);
    expect(continued).toBeLessThan(limit);
  });
});

describe('the comparison sees every number of a spec: a wrong one shows', () => {
  const wrong: [string, string, (spec: ModelSpec) => Partial<ModelSpec>][] = [
    ['llama3', 'RoPE without its scaling', ({ rope }) => ({ rope: { theta: rope.theta } })],
    ['llama3', 'a theta 10 % off', ({ rope }) => ({ rope: { ...rope, theta: rope.theta * 1.1 } })],
    ['mistral', 'a window one wider', ({ slidingWindow = 0 }) => ({ slidingWindow: slidingWindow + 1 })],
    ['qwen2-sliding', 'the wrong layer slides', ({ isLocal }) => ({ isLocal: isLocal.map((on) => !on) })],
    ['qwen3', 'no norms on queries and keys', () => ({ queryKeyNorm: false })],
    ['gemma2', 'no cap on attention scores', () => ({ attentionSoftcap: undefined })],
    ['gemma2', 'no cap on logits', () => ({ logitSoftcap: undefined })],
    ['gemma2', 'embeddings not scaled', () => ({ embeddingScale: 1 })],
    ['gemma2', 'norms without their 1', () => ({ normOffset: 0 })],
    ['gemma2', 'SiLU', () => ({ activation: 'silu' })],
    ['gemma2-bf16', 'queries scaled by the width of a head', ({ headDim }) => ({ queryScale: headDim ** -0.5 })],
    ['gemma3', 'one set of rotary frequencies', ({ rope }) => ({ localRope: rope })],
    ['gemma3', 'every layer slides', ({ isLocal }) => ({ isLocal: isLocal.map(() => true) })],
  ];
  it.each(wrong)('%s: %s', async (model, _, change) => {
    const { logits } = await compareModel({ model, alter: (spec) => ({ ...spec, ...change(spec) }) });
    expect(logits).toBeGreaterThan(1e-3);
  });

  it('llama3: an adapter left out', async () => {
    const { logits } = await compareModel({ model: 'llama3', reference: 'adapter/reference' });
    expect(logits).toBeGreaterThan(1e-2);
  });
});
