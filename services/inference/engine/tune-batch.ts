/** Measures how many positions a batch needs before the cores are busy, on this machine with these weights. */
import { Batch, CAUSAL } from './batch.js';
import type { Transformer } from './transformer.js';

const CANDIDATES = [128, 256, 512, 1024];
/** Rows a sequence in the measurement: a typical instruction behind its frozen template. */
const WIDTH = 32;
const RUNS = 3;
/** The smallest batch within this share of the best rate: larger ones only add waiting and memory. */
const GOOD_ENOUGH = 0.95;

export interface BatchTuning {
  readonly batchTokens: number;
  /** Positions a second through one block, by batch size: what the choice rests on. */
  readonly measured: readonly { readonly tokens: number; readonly positionsPerSecond: number }[];
}

export async function tuneBatch(transformer: Transformer): Promise<BatchTuning> {
  const measured = [];
  for (const tokens of CANDIDATES) {
    const size = tokens / WIDTH;
    const row = { start: 0, count: WIDTH, positions: Int32Array.from({ length: WIDTH }, (_, i) => i) };
    const past = () => ({ keys: new Float32Array(0), values: new Float32Array(0), capacity: 0 });
    const rows = Array.from({ length: size }, () => ({ ...row, visibility: CAUSAL, past }));
    const batch = new Batch(transformer.spec, rows);
    const residual = batch.pack(rows.map(() => new Float32Array(WIDTH * transformer.spec.dModel).fill(0.5)));
    let best = Number.POSITIVE_INFINITY;
    // The first run allocates; the best of the others is the machine's.
    for (let run = 0; run <= RUNS; run++) {
      const start = performance.now();
      await transformer.runBlock(0, batch, residual);
      if (run > 0) best = Math.min(best, performance.now() - start);
    }
    measured.push({ tokens, positionsPerSecond: (1000 * tokens) / best });
  }
  const top = Math.max(...measured.map(({ positionsPerSecond }) => positionsPerSecond));
  const chosen = measured.find(({ positionsPerSecond }) => positionsPerSecond >= GOOD_ENOUGH * top);
  return { batchTokens: chosen?.tokens ?? CANDIDATES[0], measured };
}
