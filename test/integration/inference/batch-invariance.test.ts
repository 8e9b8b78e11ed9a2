/** A score does not depend on what else is evaluated: the same to the last bit alone, in company, and from another cache. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { EvaluationResult } from '../../../proto/gen/refusalscope/v1/inference.js';
import { createSeededRandom } from '../../../shared/random/seeded-random.js';
import { encodeMask } from '../../../shared/tensors/mask-bits.js';
import {
  bankSize,
  type EmbeddedInference,
  golden,
  goldenBank,
  goldenScore,
  startEmbeddedInference,
  textPrompt,
} from './embedded-inference.js';

let together: EmbeddedInference;
let alone: EmbeddedInference;
beforeAll(async () => {
  [together, alone] = await Promise.all([startEmbeddedInference(), startEmbeddedInference()]);
});
afterAll(() => Promise.all([together?.stop(), alone?.stop()]));

const bank = goldenBank(
  golden.edits.find(({ features = [] }) => features.length > 60) as (typeof golden.edits)[number],
);
const prompts = golden.clean.slice(0, 3).map(({ id }) => textPrompt(id));
const random = createSeededRandom(8);
const evaluations = Array.from({ length: 18 }, (_, i) => ({
  promptIndex: i % prompts.length,
  mask: { bits: encodeMask(Array.from({ length: bankSize(bank) }, () => (random.uniform() < 0.4 ? 1 : 0))) },
}));

async function scores(inference: EmbeddedInference, asked: typeof evaluations): Promise<number[]> {
  const results: EvaluationResult[] = [];
  const request = { prompts, bank: { bank: { $case: 'inline' as const, value: bank } }, score: goldenScore };
  for await (const response of inference.client.evaluateMasks({ ...request, evaluations: asked })) {
    for (const result of response.results) results[result.evaluationIndex] = result;
  }
  return results.map(({ refusalScore }) => refusalScore);
}

it('gives the same bits alone, in another order, and all at once', async () => {
  const all = await scores(together, evaluations);
  const single: number[] = [];
  for (const evaluation of [...evaluations].reverse()) single.unshift(...(await scores(alone, [evaluation])));
  expect(single).toEqual(all);
  expect(new Set(all).size).toBeGreaterThan(6);
});
