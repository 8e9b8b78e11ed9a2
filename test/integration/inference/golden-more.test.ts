/** Ranges, answer-only edits, combinations, long prompts, residuals and answers under edits, against PyTorch in float32. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EvaluationResult } from '../../../proto/gen/refusalscope/v1/inference.js';
import { encodeMask } from '../../../shared/tensors/mask-bits.js';
import { decodeMatrix } from '../../../shared/tensors/matrix.js';
import {
  bankSize,
  type EditDescription,
  type EmbeddedInference,
  goldenBank,
  goldenScore,
  moreGolden,
  startEmbeddedInference,
  textPrompt,
} from './embedded-inference.js';

let inference: EmbeddedInference;
beforeAll(async () => {
  inference = await startEmbeddedInference();
});
afterAll(() => inference?.stop());

const TOLERANCE = 0.001;

const inline = (edit: EditDescription) => {
  const bank = goldenBank(edit);
  return { bank: { bank: { $case: 'inline' as const, value: bank } }, size: bankSize(bank) };
};

async function evaluate(promptId: string, edit: EditDescription): Promise<EvaluationResult> {
  const { bank, size } = inline(edit);
  const results: EvaluationResult[] = [];
  for await (const response of inference.client.evaluateMasks({
    prompts: [textPrompt(promptId)],
    bank,
    score: goldenScore,
    evaluations: [{ promptIndex: 0, mask: { bits: encodeMask(new Uint8Array(size).fill(1)) } }],
    firstTokenKl: true,
  })) {
    results.push(...response.results);
  }
  return results[0];
}

describe('further golden values', () => {
  it('scores every edit, with its divergence', async () => {
    for (const edit of moreGolden.edits) {
      const result = await evaluate(edit.prompt, edit);
      const where = `${edit.prompt} ${edit.kind} ${edit.positions ?? ''}`;
      expect(Math.abs(result.refusalScore - edit.refusal_score), where).toBeLessThan(TOLERANCE);
      expect(Math.abs(result.firstTokenScore - edit.first_token_score), where).toBeLessThan(TOLERANCE);
      expect(Math.abs((result.firstTokenKl as number) - edit.first_token_kl), where).toBeLessThan(1e-4);
    }
  });

  it('edits of the answer alone leave the first token as it was', async () => {
    const answers = moreGolden.edits.filter(({ positions }) => positions === 'answer');
    expect(answers.length).toBeGreaterThan(0);
    for (const edit of answers) expect((await evaluate(edit.prompt, edit)).firstTokenKl).toBe(0);
  });

  it('captures residuals behind the edits, with the size of the change', async () => {
    const layers = [5, 9, 13, 17, 21, 25, 29];
    for (const edit of moreGolden.edits.filter(({ resid_last }) => resid_last !== undefined).slice(0, 8)) {
      const { bank } = inline(edit);
      const request = { prompts: [textPrompt(edit.prompt)], layers, positions: [-1], bank };
      for await (const captured of inference.client.captureResiduals(request)) {
        for (const { layer, residual } of captured.layers) {
          const { data } = decodeMatrix(residual, { name: 'residual', rows: 1, cols: 576 });
          const expected = (edit.resid_last as Record<string, { norm: number; first8: number[] }>)[layer];
          expected.first8.forEach((value, i) => {
            expect(Math.abs(data[i] - value) / expected.norm).toBeLessThan(1e-5);
          });
        }
        for (const [layer, change] of Object.entries(edit.change)) {
          const proof = captured.proof.find((one) => one.layer === Number(layer));
          expect(proof?.activePairs ?? 0).toBe(change.active_pairs);
          expect(Math.abs((proof?.deltaNorm ?? 0) - change.delta_norm)).toBeLessThan(0.001);
        }
      }
    }
  });

  it('gives the identical answers under an SAE ablation', async () => {
    for (const answer of moreGolden.greedy_under_edit) {
      const { bank } = inline(answer);
      const tokens: number[] = [];
      const request = { prompts: [textPrompt(answer.prompt)], bank, maxNewTokens: 32 };
      for await (const { tokenId } of inference.client.generate(request)) tokens.push(tokenId);
      expect(createHash('sha256').update(tokens.join()).digest('hex')).toBe(answer.token_ids_sha256);
    }
  });
});
