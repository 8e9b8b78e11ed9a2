/**
 * Linear layers in blocks of 32 weights with one scale each, multiplied by the runtime's integer kernels (MatMulNBits, activations as
 * 8-bit integers in blocks of 32 too). Everything else (norms, attention, edits, residuals, the output matrix) stays float32. A position's
 * result depends on that position alone, never on what else is in the batch.
 *
 *   int8  the merged weights, rounded to 255 levels a block
 *   int4  the blocks of a GGUF file's Q4_0 and Q4_1 weights as they are: w = d (q - 8) + c, c = m + 8 d for Q4_1 and 0 for Q4_0. The
 *         constant part is exact too: sum_b c_b (sum of x over block b). An adapter is added as its low-rank branch.
 */
import type { LoraAdapter } from '../model/lora-adapter.js';
import type { OnnxGraph, Value } from './onnx-graph.js';
import { BLOCK, type QuantizedBlocks, quantizeBlocks } from './weight-blocks.js';
import type { WeightSink } from './weight-sink.js';

const CONTRIB = 'com.microsoft';
/** MatMulNBits: 8-bit integer activations. */
const INT8_ACTIVATIONS = 4;

export interface BlockQuantizedSource {
  readonly bits: 4 | 8;
  /** Float32 form of a weight, adapter merged. */
  readMerged(name: string): { readonly data: Float32Array; readonly shape: readonly number[] };
  /** Blocks of a weight as the file stores them; undefined where it stores none that fit. Without the adapter. */
  readBlocks(name: string): QuantizedBlocks | undefined;
  readonly adapter: LoraAdapter | undefined;
}

export class BlockQuantizedWeights implements WeightSink {
  constructor(
    private readonly source: BlockQuantizedSource,
    /** For vectors, biased layers and the output matrix. */
    private readonly exact: WeightSink,
    private readonly hasBias: (name: string) => boolean,
  ) {}

  vector(graph: OnnxGraph, name: string, offset?: number): Value {
    return this.exact.vector(graph, name, offset);
  }

  linears(graph: OnnxGraph, x: Value, names: readonly string[]): Value[] {
    return names.map((name) => this.linear(graph, x, name));
  }

  linear(graph: OnnxGraph, x: Value, name: string): Value {
    // The output matrix decides the score directly: its rounding would be most of the error.
    if (name === 'lm_head' || name === 'model.embed_tokens' || this.hasBias(name))
      return this.exact.linear(graph, x, name);
    const weight = `${name}.weight`;
    const stored = this.source.bits === 4 ? this.source.readBlocks(weight) : undefined;
    if (stored !== undefined) return this.withAdapter(graph, x, weight, blockProduct(graph, x, name, stored));
    const { data, shape } = this.source.readMerged(weight);
    // Rows that are no whole number of blocks stay float32.
    if (shape[1] % BLOCK !== 0) return this.exact.linear(graph, x, name);
    return blockProduct(graph, x, name, quantizeBlocks(data, shape));
  }

  private withAdapter(graph: OnnxGraph, x: Value, weight: string, product: Value): Value {
    const { adapter } = this.source;
    const change = adapter?.find(weight);
    if (adapter === undefined || change === undefined) return product;
    const down = adapter.readA(weight);
    const up = adapter.readB(weight).map((value) => value * change.scale);
    const a = graph.initializer(`${weight}.lora_A`, 'float32', [change.rank, down.length / change.rank], down);
    const b = graph.initializer(`${weight}.lora_B`, 'float32', [up.length / change.rank, change.rank], up);
    const low = graph.node('FusedMatMul', [x, a], { transB: 1 }, CONTRIB);
    return graph.node('Add', [product, graph.node('FusedMatMul', [low, b], { transB: 1 }, CONTRIB)]);
  }
}

/** x W^T for blocks of W, the constant part of each block added where there is one. */
function blockProduct(graph: OnnxGraph, x: Value, name: string, blocks: QuantizedBlocks): Value {
  const { bits, rows, columns, levels, scales, constants } = blocks;
  const count = columns / BLOCK;
  const w = graph.initializer(`${name}.levels`, 'uint8', [rows, count, (BLOCK * bits) / 8], levels);
  const s = graph.initializer(`${name}.scales`, 'float32', [rows * count], scales);
  const attributes = { K: columns, N: rows, bits, block_size: BLOCK, accuracy_level: INT8_ACTIVATIONS };
  const product = graph.node('MatMulNBits', [x, w, s], attributes, CONTRIB);
  if (constants === undefined) return product;
  const c = graph.initializer(`${name}.constants`, 'float32', [rows, count], constants);
  // x has two or three axes: all but the last are rows here, and the product's own shape is put back.
  const split = graph.node('Reshape', [x, graph.int64([-1, count, BLOCK])]);
  const sums = graph.node('ReduceSum', [split, graph.int64([-1])], { keepdims: 0 });
  const offset = graph.node('FusedMatMul', [sums, c], { transB: 1 }, CONTRIB);
  return graph.node('Add', [product, graph.node('Reshape', [offset, graph.node('Shape', [product])])]);
}
