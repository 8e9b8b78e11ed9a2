/** The engine behind gRPC against values that PyTorch computed in float32. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EvaluationResult } from '../../../proto/gen/refusalscope/v1/inference.js';
import { encodeMask } from '../../../shared/tensors/mask-bits.js';
import { decodeMatrix } from '../../../shared/tensors/matrix.js';
import {
  bankSize,
  type EmbeddedInference,
  golden,
  goldenBank,
  goldenScore,
  startEmbeddedInference,
  textPrompt,
} from './embedded-inference.js';

let inference: EmbeddedInference;
beforeAll(async () => {
  inference = await startEmbeddedInference();
});
afterAll(() => inference?.stop());

/** The issue allows 0.01; this is what float32 gives, with room for another machine's rounding. */
const TOLERANCE = 0.001;

async function evaluateOne(promptId: string, layers: Parameters<typeof bankSize>[0]['layers'], on = 1) {
  const bank = { layers };
  const mask = { bits: encodeMask(new Uint8Array(bankSize(bank)).fill(on)) };
  const results: EvaluationResult[] = [];
  const request = {
    prompts: [textPrompt(promptId)],
    bank: { bank: { $case: 'inline' as const, value: bank } },
    score: goldenScore,
    evaluations: [{ promptIndex: 0, mask }],
    firstTokenKl: true,
  };
  for await (const response of inference.client.evaluateMasks(request)) results.push(...response.results);
  expect(results).toHaveLength(1);
  return results[0];
}

describe('golden values of the embedded model', () => {
  it('gives the exact token ids', async () => {
    const { prompts } = await inference.client.tokenize({ prompts: golden.clean.map(({ id }) => textPrompt(id)) });
    expect(prompts.map(({ tokenIds }) => tokenIds)).toEqual(golden.clean.map(({ token_ids }) => token_ids));
    expect(prompts.map(({ instructionStart }) => instructionStart)).toEqual(golden.clean.map(() => 24));
  });

  it('scores clean prompts', async () => {
    for (const clean of golden.clean) {
      const result = await evaluateOne(clean.id, []);
      expect(Math.abs(result.refusalScore - clean.refusal_score)).toBeLessThan(TOLERANCE);
      expect(Math.abs(result.firstTokenScore - clean.first_token_score)).toBeLessThan(TOLERANCE);
      expect(Math.abs(result.pI - clean.p_I)).toBeLessThan(TOLERANCE);
      expect(result.acted).toBe(false);
      expect(result.firstTokenKl).toBe(0);
    }
  });

  it('scores every kind of edit, and proves that it acted', async () => {
    for (const edit of golden.edits) {
      const result = await evaluateOne(edit.prompt, goldenBank(edit).layers);
      expect(Math.abs(result.refusalScore - edit.refusal_score)).toBeLessThan(TOLERANCE);
      expect(Math.abs(result.firstTokenScore - edit.first_token_score)).toBeLessThan(TOLERANCE);
      expect(Math.abs(result.pI - edit.p_I)).toBeLessThan(TOLERANCE);
      expect(result.acted).toBe(true);
      expect(Math.min(...result.proof.map(({ deltaNorm }) => deltaNorm))).toBeGreaterThan(0);
    }
  });

  it('says that a bank with every edit off changed nothing', async () => {
    const edit = golden.edits[0];
    const clean = golden.clean.find(({ id }) => id === edit.prompt);
    const result = await evaluateOne(edit.prompt, goldenBank(edit).layers, 0);
    expect(result.acted).toBe(false);
    expect(result.proof).toEqual([]);
    expect(Math.abs(result.refusalScore - (clean?.refusal_score as number))).toBeLessThan(TOLERANCE);
    // The control: the same edits on give another score.
    expect(Math.abs(edit.refusal_score - (clean?.refusal_score as number))).toBeGreaterThan(1);
  });

  it('captures residuals at the last position', async () => {
    const layers = [5, 9, 13, 17, 21, 25, 29];
    const request = { prompts: golden.clean.map(({ id }) => textPrompt(id)), layers, positions: [-1] };
    let seen = 0;
    for await (const captured of inference.client.captureResiduals(request)) {
      const expected = golden.clean[captured.promptIndex];
      expect(captured.positions).toEqual([expected.token_ids.length - 1]);
      for (const { layer, residual } of captured.layers) {
        const { data } = decodeMatrix(residual, { name: 'residual', rows: 1, cols: 576 });
        const { norm, first8 } = expected.resid_last[layer];
        expect(Math.abs(Math.hypot(...data) - norm) / norm).toBeLessThan(1e-5);
        first8.forEach((value, i) => {
          expect(Math.abs(data[i] - value) / norm).toBeLessThan(1e-5);
        });
      }
      seen++;
    }
    expect(seen).toBe(golden.clean.length);
  });

  it('gives the identical greedy answers', async () => {
    const request = { prompts: golden.greedy.map(({ id }) => textPrompt(id)), maxNewTokens: 20 };
    const tokens: number[][] = golden.greedy.map(() => []);
    for await (const { promptIndex, tokenId } of inference.client.generate(request)) tokens[promptIndex].push(tokenId);
    expect(tokens).toEqual(golden.greedy.map(({ token_ids }) => token_ids));
  });
});
