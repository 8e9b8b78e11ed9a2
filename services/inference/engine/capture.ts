/** Residuals of prompts at chosen layers and positions, after the edits of each layer. */
import type { LayerProof } from './apply-edits.js';
import type { EditBank } from './edit-bank.js';
import { plainForward } from './plain-forward.js';
import type { PromptInput } from './scored-prompt.js';
import { Sequence } from './sequence.js';
import type { Transformer } from './transformer.js';

export interface CaptureCall {
  readonly prompts: readonly PromptInput[];
  readonly layers: readonly number[];
  /** Of a prompt of this length: the positions that are wanted, from the start. */
  readonly positionsOf: (promptLength: number) => readonly number[];
  readonly bank?: EditBank;
  readonly mask?: Uint8Array;
  readonly onPrompt: (captured: CapturedPrompt) => void;
  readonly signal: AbortSignal;
}

export interface CapturedPrompt {
  readonly prompt: number;
  readonly positions: readonly number[];
  /** By layer, in the order asked for: [positions, d]. */
  readonly residuals: readonly Float32Array[];
  readonly proof: readonly LayerProof[];
}

/** Prompts that go through the model together. */
const MAX_BATCH = 8;

export async function capture(transformer: Transformer, call: CaptureCall): Promise<void> {
  for (let from = 0; from < call.prompts.length; from += MAX_BATCH) {
    call.signal.throwIfAborted();
    const captured = await captureBatch(transformer, call, from, call.prompts.slice(from, from + MAX_BATCH));
    for (const prompt of captured) call.onPrompt(prompt);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

async function captureBatch(
  transformer: Transformer,
  call: CaptureCall,
  first: number,
  prompts: readonly PromptInput[],
): Promise<CapturedPrompt[]> {
  const { spec } = transformer;
  const sequences = prompts.map((prompt) => new Sequence(prompt, call.mask, spec, prompt.tokenIds.length));
  const positions = prompts.map((prompt) => call.positionsOf(prompt.tokenIds.length));
  const residuals = prompts.map(() => call.layers.map((): Float32Array => new Float32Array(0)));
  await plainForward(transformer, sequences, call.bank, (layer, b, rows) => {
    const at = call.layers.indexOf(layer);
    if (at !== -1) residuals[b][at] = pickRows(rows, positions[b], spec.dModel);
  });
  return prompts.map((_, b) => ({
    prompt: first + b,
    positions: positions[b],
    residuals: residuals[b],
    proof: sequences[b].proof,
  }));
}

function pickRows(rows: Float32Array, positions: readonly number[], dModel: number): Float32Array {
  const picked = new Float32Array(positions.length * dModel);
  for (const [i, position] of positions.entries()) {
    picked.set(rows.subarray(position * dModel, (position + 1) * dModel), i * dModel);
  }
  return picked;
}
