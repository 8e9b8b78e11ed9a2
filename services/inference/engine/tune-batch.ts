/** Measures how many positions a batch needs before the cores are busy, on this machine with these weights. */
import { Batch, CAUSAL } from './batch.js';
import type { Transformer } from './transformer.js';

const CANDIDATES = [128, 256, 512, 1024];
/** Rows a sequence in the measurement: a typical instruction behind its frozen template. */
const WIDTH = 32;
const ROUNDS = 3;
/** Blocks run one behind the other, as in use: one block alone would find its weights in the processor's cache every time. */
const BLOCKS = 4;
/** No further round once this is spent: a round of an 8B model takes a processor half a minute, and its first is as good as its third. */
const BUDGET_MS = 1000;
/** The smallest batch within this share of the best rate: larger ones only add waiting and memory. */
const GOOD_ENOUGH = 0.95;

export interface BatchTuning {
  readonly batchTokens: number;
  /** Positions a second through a block, by batch size: what the choice rests on. */
  readonly measured: readonly { readonly tokens: number; readonly positionsPerSecond: number }[];
}

export async function tuneBatch(transformer: Transformer): Promise<BatchTuning> {
  const start = performance.now();
  // The first round allocates, so it counts only if it is the last.
  let best = await timeRound(transformer);
  for (let round = 1; round <= ROUNDS && performance.now() - start < BUDGET_MS; round++) {
    const times = await timeRound(transformer);
    best = round === 1 ? times : best.map((ms, i) => Math.min(ms, times[i]!));
  }
  const measured = CANDIDATES.map((tokens, i) => ({ tokens, positionsPerSecond: (1000 * tokens) / best[i]! }));
  const top = Math.max(...measured.map(({ positionsPerSecond }) => positionsPerSecond));
  const chosen = measured.find(({ positionsPerSecond }) => positionsPerSecond >= GOOD_ENOUGH * top);
  return { batchTokens: chosen?.tokens ?? CANDIDATES[0], measured };
}

/** Milliseconds a block, by size. Sizes take turns, so that a busy moment of the machine hits every one of them. */
async function timeRound(transformer: Transformer): Promise<number[]> {
  const times: number[] = [];
  for (const tokens of CANDIDATES) times.push(await timeBlocks(transformer, tokens));
  return times;
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
