/** The graph of one segment: blocks `from` to `to` (inclusive) with their boundary as block-io.ts names it. */
import type { ModelSpec } from '../model/model-spec.js';
import { blockDefinition } from './architectures/registry.js';
import {
  ATTENTION_BIAS,
  KEEP,
  LOCAL_ATTENTION_BIAS,
  LOCAL_ROPE,
  POSITION_IDS,
  pastKey,
  pastValue,
  RESIDUAL,
  RESIDUAL_OUT,
  ROPE,
} from './block-io.js';
import { OnnxGraph, type Value } from './onnx-graph.js';
import type { WeightSink } from './weight-sink.js';

/** Encodes the segment. The segment that ends the model takes `keep` and gives only those rows, as [M, d]. */
export function buildSegment(spec: ModelSpec, weights: WeightSink, from: number, to: number): Uint8Array {
  const graph = new OnnxGraph(`blocks ${from} to ${to}`);
  const isLast = to === spec.nLayers - 1;
  const layers = Array.from({ length: to - from + 1 }, (_, i) => from + i);
  declareInputs(graph, spec, layers);
  let x: Value = RESIDUAL;
  const define = blockDefinition(spec.architecture);
  for (const layer of layers) {
    const block = { graph, spec, weights, layer, prefix: `model.layers.${layer}` };
    x = define(block, x, layer === spec.nLayers - 1 ? (rows) => keepRows(graph, spec, rows) : (rows) => rows);
  }
  graph.output(x, RESIDUAL_OUT, 'float32', isLast ? ['M', spec.dModel] : ['B', 'T', spec.dModel]);
  return graph.encode();
}

function declareInputs(graph: OnnxGraph, spec: ModelSpec, layers: readonly number[]): void {
  const anyLocal = layers.some((layer) => spec.isLocal[layer]);
  const anyGlobal = layers.some((layer) => !spec.isLocal[layer]);
  graph.input(RESIDUAL, 'float32', ['B', 'T', spec.dModel]);
  graph.input(POSITION_IDS, 'int64', ['B', 'T']);
  if (anyGlobal) graph.input(ATTENTION_BIAS, 'float32', ['B', 1, 1, 'T', 'S']);
  if (anyLocal) graph.input(LOCAL_ATTENTION_BIAS, 'float32', ['B', 1, 1, 'T', 'S']);
  const tables = [
    ...(anyGlobal || spec.localRope === undefined ? [ROPE] : []),
    ...(anyLocal && spec.localRope !== undefined ? [LOCAL_ROPE] : []),
  ];
  for (const { cos, sin } of tables) {
    graph.input(cos, 'float32', ['R', spec.headDim / 2]);
    graph.input(sin, 'float32', ['R', spec.headDim / 2]);
  }
  if (layers.includes(spec.nLayers - 1)) graph.input(KEEP, 'int64', ['M']);
  for (const layer of layers) {
    graph.input(pastKey(layer), 'float32', ['B', spec.nKvHeads, 'P', spec.headDim]);
    graph.input(pastValue(layer), 'float32', ['B', spec.nKvHeads, 'P', spec.headDim]);
  }
}

function keepRows(graph: OnnxGraph, spec: ModelSpec, rows: Value): Value {
  return graph.node('Gather', [graph.node('Reshape', [rows, graph.int64([-1, spec.dModel])]), KEEP], { axis: 0 });
}
