/** Weights as float32 constants inside the graph: the reference mode. */
import type { TensorSource } from '../../../shared/tensor-files/tensor-source.js';
import type { OnnxGraph, Value } from './onnx-graph.js';
import type { WeightSink } from './weight-sink.js';

export class Float32Weights implements WeightSink {
  constructor(private readonly source: TensorSource) {}

  linear(graph: OnnxGraph, x: Value, name: string): Value {
    return this.linears(graph, x, [name])[0];
  }

  /** One multiplication by the stacked rows: fewer, larger matrix products keep the cores busy on short inputs. */
  linears(graph: OnnxGraph, x: Value, names: readonly string[]): Value[] {
    const weights = names.map((name) => `${name}.weight`);
    const rows = weights.map((weight) => this.source.info(weight).shape[0]);
    const columns = this.source.info(weights[0]).shape[1];
    const total = rows.reduce((sum, n) => sum + n, 0);
    const stacked = new Float32Array(total * columns);
    let offset = 0;
    for (const weight of weights) {
      const data = this.source.readFloat32(weight);
      stacked.set(data, offset);
      offset += data.length;
    }
    const w = graph.initializer(weights.join('+'), 'float32', [total, columns], stacked);
    const product = this.addBias(
      graph,
      graph.node('FusedMatMul', [x, w], { transB: 1 }, 'com.microsoft'),
      names,
      total,
    );
    if (names.length === 1) return [product];
    return graph.nodeOutputs('Split', [product, graph.int64(rows)], names.length, { axis: -1 });
  }

  private addBias(graph: OnnxGraph, product: Value, names: readonly string[], total: number): Value {
    const biases = names.map((name) => `${name}.bias`).filter((bias) => this.source.has(bias));
    if (biases.length === 0) return product;
    const stacked = new Float32Array(total);
    let offset = 0;
    for (const name of names) {
      const rows = this.source.info(`${name}.weight`).shape[0];
      if (this.source.has(`${name}.bias`)) stacked.set(this.source.readFloat32(`${name}.bias`), offset);
      offset += rows;
    }
    return graph.node('Add', [product, graph.initializer(biases.join('+'), 'float32', [total], stacked)]);
  }

  vector(graph: OnnxGraph, name: string, offset = 0): Value {
    const data = this.source.readFloat32(name);
    return graph.initializer(name, 'float32', [data.length], offset === 0 ? data : data.map((value) => value + offset));
  }
}
