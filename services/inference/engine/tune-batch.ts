/** Measures how many positions a batch needs before the cores are busy, on this machine with these weights. */
import { Batch, CAUSAL } from './batch.js';
import type { Transformer } from './transformer.js';

const CANDIDATES = [128, 256, 512, 1024];
/** Rows a sequence in the measurement: a typical instruction behind its frozen template. */
const WIDTH = 32;
const ROUNDS = 3;
/** Blocks run one behind the other, as in use: one block alone would find its weights in the processor's cache every time. */
const BLOCKS = 4;
/** The smallest batch within this share of the best rate: larger ones only add waiting and memory. */
const GOOD_ENOUGH = 0.95;

export interface BatchTuning {
  readonly batchTokens: number;
  /** Positions a second through a block, by batch size: what the choice rests on. */
  readonly measured: readonly { readonly tokens: number; readonly positionsPerSecond: number }[];
}

export async function tuneBatch(transformer: Transformer): Promise<BatchTuning> {
  const best = CANDIDATES.map(() => Number.POSITIVE_INFINITY);
  // In turns, so that a busy moment of the machine hits every size; the first round allocates.
  for (let round = 0; round <= ROUNDS; round++) {
    for (const [i, tokens] of CANDIDATES.entries()) {
      const ms = await timeBlocks(transformer, tokens);
      if (round > 0) best[i] = Math.min(best[i], ms);
    }
  }
  const measured = CANDIDATES.map((tokens, i) => ({ tokens, positionsPerSecond: (1000 * tokens) / best[i] }));
  const top = Math.max(...measured.map(({ positionsPerSecond }) => positionsPerSecond));
  const chosen = measured.find(({ positionsPerSecond }) => positionsPerSecond >= GOOD_ENOUGH * top);
  return { batchTokens: chosen?.tokens ?? CANDIDATES[0], measured };
}

/** Milliseconds a block. */
async function timeBlocks(transformer: Transformer, tokens: number): Promise<number> {
  const { spec } = transformer;
  const row = { start: 0, count: WIDTH, positions: Int32Array.from({ length: WIDTH }, (_, i) => i) };
  const past = () => ({ keys: new Float32Array(0), values: new Float32Array(0), capacity: 0 });
  const rows = Array.from({ length: tokens / WIDTH }, () => ({ ...row, visibility: CAUSAL, past }));
  const batch = new Batch(spec, rows);
  const residual = batch.pack(rows.map(() => new Float32Array(WIDTH * spec.dModel).fill(0.5)));
  const blocks = Math.min(BLOCKS, spec.nLayers);
  const start = performance.now();
  for (let block = 0; block < blocks; block++) await transformer.runBlock(block, batch, residual);
  return (performance.now() - start) / blocks;
}
