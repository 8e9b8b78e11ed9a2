/**
 * Linear layers in 8-bit integers: weights with one scale an output row, activations with one scale a position, sums in int32.
 * Everything else (norms, attention, edits, residuals) stays float32. A position's scale depends on that position alone, so that a
 * result never depends on what else is in the batch.
 *
 *   y = (q_x W_q^T) s_x s_w,  q_x = round(x / s_x),  s_x = max|x| / 127,  s_w = max|w| / 127 by row
 */
import type { TensorSource } from '../../../shared/tensor-files/tensor-source.js';
import { Float32Weights } from './float32-weights.js';
import type { OnnxGraph, Value } from './onnx-graph.js';
import type { WeightSink } from './weight-sink.js';

/** Largest magnitude of a signed byte that has a negative counterpart. */
const LEVELS = 127;
/** Activations are fed as unsigned bytes around this: the form for which CPUs have dot-product instructions. */
const ZERO_POINT = 128;
/** Keeps a row of zeros from dividing by zero; far below any activation. */
const MIN_SCALE = 1e-12;

export class Int8Weights implements WeightSink {
  private readonly exact: Float32Weights;

  constructor(private readonly source: TensorSource) {
    this.exact = new Float32Weights(source);
  }

  vector(graph: OnnxGraph, name: string, offset?: number): Value {
    return this.exact.vector(graph, name, offset);
  }

  linear(graph: OnnxGraph, x: Value, name: string): Value {
    // The output matrix is scored against thresholds of log-odds: its own rounding would be all of the error budget.
    if (name === 'lm_head' || name === 'model.embed_tokens') return this.exact.linear(graph, x, name);
    return this.linears(graph, x, [name])[0];
  }

  linears(graph: OnnxGraph, x: Value, names: readonly string[]): Value[] {
    if (names.some((name) => this.source.has(`${name}.bias`)))
      return names.map((name) => this.exact.linear(graph, x, name));
    const parts = names.map((name) => this.quantize(`${name}.weight`));
    const rows = parts.map(({ scales }) => scales.length);
    const total = rows.reduce((sum, n) => sum + n, 0);
    const columns = parts[0].weights.length / rows[0];
    const key = names.join('+');
    const stacked = stackColumns(
      parts.map(({ weights }) => weights),
      rows,
      columns,
    );
    const w = graph.initializer(`${key}.int8`, 'int8', [columns, total], stacked);
    const scales = Float32Array.from(parts.flatMap((part) => [...part.scales]));
    const wScale = graph.initializer(`${key}.scale`, 'float32', [total], scales);
    const { quantized, scale } = quantizeRows(graph, x);
    const zero = graph.initializer(`${key}.zero`, 'uint8', [], Uint8Array.of(ZERO_POINT));
    const sums = graph.node('MatMulInteger', [quantized, w, zero]);
    const scaled = graph.node('Mul', [graph.node('Cast', [sums], { to: 1 }), scale]);
    const product = graph.node('Mul', [scaled, wScale]);
    if (names.length === 1) return [product];
    return graph.nodeOutputs('Split', [product, graph.int64(rows)], names.length, { axis: -1 });
  }

  /** Rounded rows of a weight [out, in] and their scales. */
  private quantize(name: string): { weights: Int8Array; scales: Float32Array } {
    const data = this.source.readFloat32(name);
    const [rows, columns] = this.source.info(name).shape;
    const weights = new Int8Array(data.length);
    const scales = new Float32Array(rows);
    for (let r = 0; r < rows; r++) {
      let max = MIN_SCALE;
      for (let c = r * columns; c < (r + 1) * columns; c++) max = Math.max(max, Math.abs(data[c]));
      scales[r] = max / LEVELS;
      for (let c = r * columns; c < (r + 1) * columns; c++) weights[c] = Math.round(data[c] / scales[r]);
    }
    return { weights, scales };
  }
}

/** Rows of x as bytes around the zero point, and their scales [.., 1]. */
function quantizeRows(graph: OnnxGraph, x: Value): { quantized: Value; scale: Value } {
  const max = graph.node('ReduceMax', [graph.node('Abs', [x]), graph.int64([-1])], { keepdims: 1 });
  const scale = graph.node('Max', [graph.node('Mul', [max, graph.float32(1 / LEVELS)]), graph.float32(MIN_SCALE)]);
  const levels = graph.node('Round', [graph.node('Div', [x, scale])]);
  const shifted = graph.node('Add', [levels, graph.float32(ZERO_POINT)]);
  return { quantized: graph.node('Cast', [shifted], { to: 2 }), scale };
}

/** Weights [out_i, in] side by side as [in, sum out_i], the order in which the integer product reads them. */
function stackColumns(parts: readonly Int8Array[], rows: readonly number[], columns: number): Int8Array {
  const total = rows.reduce((sum, n) => sum + n, 0);
  const stacked = new Int8Array(total * columns);
  let first = 0;
  parts.forEach((weights, i) => {
    for (let r = 0; r < rows[i]; r++) {
      for (let c = 0; c < columns; c++) stacked[c * total + first + r] = weights[r * columns + c];
    }
    first += rows[i];
  });
  return stacked;
}
