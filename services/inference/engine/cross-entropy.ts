/** Mean negative log-likelihood of given continuations under edits: what a suppression costs on text that has nothing to refuse. */
import type { EditBank } from './edit-bank.js';
import { logSumExp } from './opener-tree.js';
import { plainForward } from './plain-forward.js';
import type { PromptInput } from './scored-prompt.js';
import { Sequence } from './sequence.js';
import type { Transformer } from './transformer.js';

export interface CrossEntropyCall {
  readonly prompts: readonly PromptInput[];
  /** Token ids, one list a prompt, 1 token at least. */
  readonly continuations: readonly (readonly number[])[];
  readonly bank?: EditBank;
  /** One a prompt; undefined: all edits on. */
  readonly masks: readonly (Uint8Array | undefined)[];
  readonly signal: AbortSignal;
}

/** Nats a token, one a prompt. */
export async function crossEntropy(transformer: Transformer, call: CrossEntropyCall): Promise<number[]> {
  const results: number[] = [];
  for (let i = 0; i < call.prompts.length; i++) {
    call.signal.throwIfAborted();
    results.push(await ofOne(transformer, call.prompts[i], call.continuations[i], call.bank, call.masks[i]));
    await new Promise((resolve) => setImmediate(resolve));
  }
  return results;
}

async function ofOne(
  transformer: Transformer,
  prompt: PromptInput,
  continuation: readonly number[],
  bank: EditBank | undefined,
  mask: Uint8Array | undefined,
): Promise<number> {
  const { dModel } = transformer.spec;
  const length = prompt.tokenIds.length;
  const sequence = new Sequence(prompt, mask, transformer.spec, length + continuation.length);
  // The last token is only predicted, never read.
  sequence.tokenIds.push(...continuation.slice(0, -1));
  const [rows] = await plainForward(transformer, [sequence], bank);
  const predicting = rows.slice((length - 1) * dModel);
  const { specialLogits, restLse } = await transformer.runHead(predicting, BigInt64Array.from(continuation, BigInt));
  let nats = 0;
  continuation.forEach((_, i) => {
    nats += logSumExp([specialLogits[i], restLse[i]]) - specialLogits[i];
  });
  return nats / continuation.length;
}
