/**
 * The graph from final residual rows to what scoring needs. The full logits [M, vocab] stay inside unless they are fetched: what
 * leaves are the logits of a few special tokens a row and the log-sum-exp of all the others. Their complement form keeps
 * log(1 - p) exact where p is close to 1, which float32 probabilities would lose.
 *
 *   rows          [M, d]       residuals after the last block
 *   special       [M, C]       token ids; repeats are allowed (padding)
 *   special_logits [M, C]
 *   rest_lse      [M, 1]       log sum exp of the logits of every token that is not special
 *   logits        [M, vocab]
 */
import type { ModelSpec } from '../model/model-spec.js';
import { softcap } from './layers.js';
import { OnnxGraph, type Value } from './onnx-graph.js';
import type { WeightSink } from './weight-sink.js';

export const HEAD = {
  rows: 'rows',
  special: 'special',
  specialLogits: 'special_logits',
  restLse: 'rest_lse',
  logits: 'logits',
} as const;

export function buildHead(spec: ModelSpec, weights: WeightSink): Uint8Array {
  const graph = new OnnxGraph('head');
  const rows = graph.input(HEAD.rows, 'float32', ['M', spec.dModel]);
  const special = graph.input(HEAD.special, 'int64', ['M', 'C']);
  const scale = weights.vector(graph, 'model.norm.weight', spec.normOffset);
  const normed = graph.node('SimplifiedLayerNormalization', [rows, scale], {
    axis: -1,
    epsilon: { float: spec.rmsEpsilon },
  });
  const raw = weights.linear(graph, normed, spec.tiedEmbeddings ? 'model.embed_tokens' : 'lm_head');
  const logits = spec.logitSoftcap === undefined ? raw : softcap(graph, raw, spec.logitSoftcap);
  const specialLogits = graph.node('GatherElements', [logits, special], { axis: 1 });
  const rest = graph.node('ScatterElements', [logits, special, silence(graph, special)], { axis: 1 });
  const restLse = logSumExp(graph, rest);
  graph.output(specialLogits, HEAD.specialLogits, 'float32', ['M', 'C']);
  graph.output(restLse, HEAD.restLse, 'float32', ['M', 1]);
  graph.output(logits, HEAD.logits, 'float32', ['M', spec.vocabSize]);
  return graph.encode();
}

/**
 * [M, vocab] -> [M, 1], from the softmax kernel: max(x) - max(x - lse). onnxruntime's ReduceLogSumExp takes one exponential at a time and
 * costs more than the product with the vocabulary itself.
 */
function logSumExp(graph: OnnxGraph, x: Value): Value {
  const largest = (values: Value): Value => graph.node('ReduceMax', [values, graph.int64([1])], { keepdims: 1 });
  return graph.node('Sub', [largest(x), largest(graph.node('LogSoftmax', [x], { axis: 1 }))]);
}

/** A tensor of very low logits in the shape of `special`. */
function silence(graph: OnnxGraph, special: Value): Value {
  return graph.node('Expand', [graph.float32(-1e30), graph.node('Shape', [special])]);
}
