/**
 * How a graph gets its weights. Architecture files ask for `linear` and `vector` by the weight's Hugging Face name and never
 * see how it is stored; each numeric mode (float32, int8, ...) is one implementation of this.
 */
import type { OnnxGraph, Value } from './onnx-graph.js';

export interface WeightSink {
  /** x W^T (+ bias where the file has one) for one weight [out, in]. */
  linear(graph: OnnxGraph, x: Value, name: string): Value;
  /** The same for several weights read by the same x; results in order. May run as one multiplication. */
  linears(graph: OnnxGraph, x: Value, names: readonly string[]): Value[];
  /** A vector [n] as a float32 constant, `offset` added to every entry. */
  vector(graph: OnnxGraph, name: string, offset?: number): Value;
  /** Called once every session is created. */
  close?(): void;
}
