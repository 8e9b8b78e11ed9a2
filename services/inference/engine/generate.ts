/** Greedy answers of several prompts at once, under edits. */

import type { LayerProof } from './apply-edits.js';
import type { EditBank } from './edit-bank.js';
import { plainForward } from './plain-forward.js';
import type { PromptInput } from './scored-prompt.js';
import { Sequence } from './sequence.js';
import type { Transformer } from './transformer.js';

export interface GenerateCall {
  readonly prompts: readonly PromptInput[];
  readonly bank?: EditBank;
  /** One a prompt; undefined: all edits on. */
  readonly masks: readonly (Uint8Array | undefined)[];
  readonly maxNewTokens: number;
  readonly endTokens: readonly number[];
  readonly onToken: (token: GeneratedToken) => void;
  readonly signal: AbortSignal;
}

export interface GeneratedToken {
  readonly prompt: number;
  readonly tokenId: number;
  readonly finish?: 'end-token' | 'length';
  /** With finish: what the edits did in all. */
  readonly proof?: readonly LayerProof[];
}

/** Sequences that go through the model together; more wait their turn. */
const MAX_BATCH = 16;

export async function generate(transformer: Transformer, call: GenerateCall): Promise<void> {
  for (let from = 0; from < call.prompts.length; from += MAX_BATCH) {
    const indices = call.prompts.keys();
    const chunk = [...indices].slice(from, from + MAX_BATCH);
    await generateBatch(transformer, call, chunk);
  }
}

async function generateBatch(transformer: Transformer, call: GenerateCall, indices: readonly number[]): Promise<void> {
  const { spec } = transformer;
  let live = indices.map((prompt) => {
    const input = call.prompts[prompt];
    const capacity = input.tokenIds.length + call.maxNewTokens;
    return { prompt, sequence: new Sequence(input, call.masks[prompt], spec, capacity) };
  });
  for (let step = 1; live.length > 0; step++) {
    call.signal.throwIfAborted();
    const finals = await plainForward(
      transformer,
      live.map(({ sequence }) => sequence),
      call.bank,
    );
    const tokens = await nextTokens(transformer, finals);
    live = live.filter(({ prompt, sequence }, i) => {
      const tokenId = tokens[i];
      sequence.tokenIds.push(tokenId);
      const ended = call.endTokens.includes(tokenId);
      const finish = ended ? 'end-token' : step === call.maxNewTokens ? 'length' : undefined;
      call.onToken({ prompt, tokenId, ...(finish === undefined ? {} : { finish, proof: sequence.proof }) });
      return finish === undefined;
    });
    // Lets an abort in between two tokens.
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Argmax of the logits at each sequence's last row; the lowest id wins a tie. */
async function nextTokens(transformer: Transformer, finals: readonly Float32Array[]): Promise<number[]> {
  const { dModel, vocabSize } = transformer.spec;
  const rows = new Float32Array(finals.length * dModel);
  for (const [i, final] of finals.entries()) rows.set(final.subarray(final.length - dModel), i * dModel);
  const { logits } = await transformer.runHead(rows, new BigInt64Array(finals.length), true);
  return finals.map((_, i) => argmax((logits as Float32Array).subarray(i * vocabSize, (i + 1) * vocabSize)));
}

function argmax(values: Float32Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}
