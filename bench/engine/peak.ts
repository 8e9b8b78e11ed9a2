/** The machine's matrix-multiply peak in the same runtime with the same threads, and what the blocks of the model reach of it. */

import { Batch, CAUSAL } from '../../services/inference/engine/batch.js';
import { Transformer } from '../../services/inference/engine/transformer.js';
import { Float32Weights } from '../../services/inference/graph/float32-weights.js';
import { OnnxGraph } from '../../services/inference/graph/onnx-graph.js';
import { openModel } from '../../services/inference/model/open-model.js';
import { OrtSession } from '../../services/inference/runtime/ort-session.js';
import { adapterFolder } from './workload.js';

const SIZE = 1024;
const RUNS = 12;

export interface PeakShare {
  readonly peak_gflops: number;
  readonly block_gflops: number;
  readonly share: number;
  readonly batch: string;
}

/** Both are the best of several runs, taken in turns, so that a busy moment hits neither alone. */
export async function measurePeakShare(modelPath: string, threads: number): Promise<PeakShare> {
  const runtime = { threads, device: 'cpu' };
  const { spec, weights } = openModel(modelPath, adapterFolder);
  // Two blocks are enough: each is one session, and all are alike.
  const transformer = await Transformer.create({ ...spec, nLayers: 2 }, weights, new Float32Weights(weights), runtime);
  const product = await OrtSession.create(productGraph(), runtime);
  const size = 16;
  const width = 32;
  const row = {
    start: 0,
    count: width,
    positions: Int32Array.from({ length: width }, (_, i) => i),
    visibility: CAUSAL,
  };
  const past = () => ({ keys: new Float32Array(0), values: new Float32Array(0), capacity: 0 });
  const batch = new Batch(
    spec,
    Array.from({ length: size }, () => ({ ...row, past })),
  );
  const residual = new Float32Array(size * width * spec.dModel).fill(0.5);
  const square = { data: new Float32Array(SIZE * SIZE).fill(0.5), dims: [SIZE, SIZE] };
  let bestProduct = Number.POSITIVE_INFINITY;
  let bestBlock = Number.POSITIVE_INFINITY;
  for (let run = 0; run < RUNS; run++) {
    bestProduct = Math.min(bestProduct, await timed(() => product.run({ x: square }, ['y'])));
    bestBlock = Math.min(bestBlock, await timed(() => transformer.runBlock(0, batch, residual)));
  }
  const { dModel, nHeads, nKvHeads, headDim, ffDim } = spec;
  const parameters = dModel * headDim * (2 * nHeads + 2 * nKvHeads) + 3 * dModel * ffDim;
  const peak = (2 * SIZE ** 3) / bestProduct / 1e6;
  const block = (2 * parameters * size * width) / bestBlock / 1e6;
  await product.close();
  await transformer.close();
  return { peak_gflops: peak, block_gflops: block, share: block / peak, batch: `${size} x ${width}` };
}

function productGraph(): Uint8Array {
  const graph = new OnnxGraph('peak');
  const x = graph.input('x', 'float32', [SIZE, SIZE]);
  const w = graph.initializer('w', 'float32', [SIZE, SIZE], new Float32Array(SIZE * SIZE).fill(0.5));
  graph.output(graph.node('MatMul', [x, w]), 'y', 'float32', [SIZE, SIZE]);
  return graph.encode();
}

/** Milliseconds. */
async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}
