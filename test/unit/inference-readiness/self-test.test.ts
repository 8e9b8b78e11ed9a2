import { describe, expect, it } from 'vitest';
import { assertEditsAct } from '../../../services/inference/self-test.js';
import type { EngineThread, Jobs } from '../../../services/inference/thread/messages.js';
import type { ChatTokenizer } from '../../../services/inference/tokenizer/chat-tokenizer.js';

const N_LAYERS = 8;
const tokenizer = {
  encode: () => [5],
  encodeChat: () => ({ tokenIds: [1, 2, 3, 4], text: '', instructionStart: 1, instructionEnd: 3 }),
} as unknown as ChatTokenizer;

type Output = Jobs['evaluate']['event']['results'][number];

/** A sound engine of one number: each steered layer adds its own share to the score. `spoil` changes what it says of an evaluation. */
const engineThat = (spoil: (output: Output, on: readonly number[]) => Output, norm = 2): EngineThread =>
  ({
    ready: { spec: { nLayers: N_LAYERS, dModel: 4 } },
    run: async (kind: string, input: never, _signal: AbortSignal, emit: (event: unknown) => void) => {
      if (kind === 'capture') {
        const { layers } = input as Jobs['capture']['input'];
        emit({ prompt: 0, positions: [3], residuals: layers.map(() => Float32Array.of(norm, 0, 0, 0)), proof: [] });
        return {};
      }
      const { bank, evaluations } = input as Jobs['evaluate']['input'];
      const { layers } = bank as Extract<typeof bank, { layers: unknown }>;
      const results = evaluations.map(({ bits }, index) => {
        const on = layers.flatMap(({ layer, target }, i) =>
          ((bits[i >> 3] ?? 0) >> (i & 7)) & 1 && target[0] !== 0 ? [layer] : [],
        );
        const proof = on.map((layer) => ({ layer, deltaNorm: 1, activeEdits: 1, activePairs: 3, residualNorm: 2 }));
        const refusalScore = -3 + on.reduce((sum, layer) => sum + (layer + 1) / 10, 0);
        const output = {
          index,
          refusalScore,
          firstTokenScore: 0,
          pI: 0.1,
          acted: on.length > 0,
          tokenBlocks: 1,
          proof,
        };
        return spoil(output, on);
      });
      emit({ results, bankDigest: 'd' });
      return { bankDigest: 'd' };
    },
  }) as unknown as EngineThread;

const test = (spoil: (output: Output, on: readonly number[]) => Output, norm?: number) =>
  assertEditsAct(engineThat(spoil, norm), tokenizer);

describe('the self-test before serving', () => {
  it('passes where each of three layers moves the score and leaves its proof', async () => {
    const { layers, moved } = await test((output) => output);
    expect(layers).toEqual([2, 4, 6]);
    expect(moved.map((value) => value.toFixed(3))).toEqual(['0.300', '0.500', '0.700']);
  });

  it.each([
    [
      'edits at one layer go nowhere',
      (o: Output, on: readonly number[]) => (on.includes(4) ? { ...o, refusalScore: -3 } : o),
      /steering layer 4 by half its norm moved the score by 0, under 0\.0001/,
    ],
    [
      'an edit acts without a proof',
      (o: Output) => ({ ...o, proof: [] }),
      /the proof of an edit at layer 2 names nothing/,
    ],
    [
      'an edit lands at another layer',
      (o: Output) => ({ ...o, proof: o.proof.map((p) => ({ ...p, layer: p.layer + 1 })) }),
      /an edit at layer 2 names 3/,
    ],
    [
      'the score is no number',
      (o: Output) => ({ ...o, refusalScore: Number.NaN }),
      /the score is NaN when no edit is on/,
    ],
    [
      'something acts though nothing is on',
      (o: Output) => ({ ...o, acted: true }),
      /something acted when no edit is on/,
    ],
    [
      'the same prompt has two scores',
      (o: Output, on: readonly number[]) => (on.length === 0 && o.index > 0 ? { ...o, refusalScore: -2.9 } : o),
      /the score moved to -2\.9 when an edit of strength 0 is on/,
    ],
  ])('fails where %s', async (_what, spoil, text) => {
    await expect(test(spoil)).rejects.toMatchObject({ code: 'SELF_TEST_FAILED', message: expect.stringMatching(text) });
  });

  it('fails where residuals are not finite', async () => {
    await expect(test((o) => o, Number.POSITIVE_INFINITY)).rejects.toMatchObject({
      message: expect.stringMatching(/norm Infinity/),
    });
  });
});
