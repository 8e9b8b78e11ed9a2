/** The layers that architectures are made of: RMSNorm, attention over past and present keys, the gated MLP. */
import type { ModelSpec } from '../model/model-spec.js';
import {
  ATTENTION_BIAS,
  keyOut,
  LOCAL_ATTENTION_BIAS,
  LOCAL_ROPE,
  POSITION_IDS,
  pastKey,
  pastValue,
  RESIDUAL,
  ROPE,
  valueOut,
} from './block-io.js';
import type { OnnxGraph, Value } from './onnx-graph.js';
import type { WeightSink } from './weight-sink.js';

const CONTRIB = 'com.microsoft';

/** What a block's definition needs besides its input. */
export interface BlockContext {
  readonly graph: OnnxGraph;
  readonly spec: ModelSpec;
  readonly weights: WeightSink;
  readonly layer: number;
  /** "model.layers.N", the prefix of this block's weight names. */
  readonly prefix: string;
}

/** x / rms(x) * (offset + w) (Zhang and Sennrich 2019), in float32. */
export function rmsNorm({ graph, spec, weights }: BlockContext, x: Value, name: string): Value {
  const scale = weights.vector(graph, `${name}.weight`, spec.normOffset);
  return graph.node('SimplifiedLayerNormalization', [x, scale], { axis: -1, epsilon: { float: spec.rmsEpsilon } });
}

/** Grouped-query attention of x [B, T, d] over past and present keys. Gives [B, T, d] before the residual is added. */
export function attention(block: BlockContext, x: Value): Value {
  const { graph, spec, weights, prefix, layer } = block;
  const { nHeads, nKvHeads, headDim } = spec;
  const names = ['q_proj', 'k_proj', 'v_proj'].map((name) => `${prefix}.self_attn.${name}`);
  const [q, k, v] = weights.linears(graph, x, names);
  const query = rotate(block, normHeads(block, heads(graph, q, nHeads, headDim), 'q_norm'));
  const key = rotate(block, normHeads(block, heads(graph, k, nKvHeads, headDim), 'k_norm'));
  const value = swapHeads(graph, heads(graph, v, nKvHeads, headDim));
  const keys = graph.node('Concat', [pastKey(layer), key], { axis: 2 });
  const values = graph.node('Concat', [pastValue(layer), value], { axis: 2 });
  const mixed = weighValues(block, attentionScores(block, query, keys), values);
  graph.output(key, keyOut(layer), 'float32', ['B', nKvHeads, 'T', headDim]);
  graph.output(value, valueOut(layer), 'float32', ['B', nKvHeads, 'T', headDim]);
  return weights.linear(graph, mixed, `${prefix}.self_attn.o_proj`);
}

/** [B, T, n * hd] -> [B, T, n, hd] */
function heads(graph: OnnxGraph, x: Value, n: number, headDim: number): Value {
  return graph.node('Reshape', [x, graph.int64([0, 0, n, headDim])]);
}

/** [B, T, n, hd] -> [B, n, T, hd] */
function swapHeads(graph: OnnxGraph, x: Value): Value {
  return graph.node('Transpose', [x], { perm: [0, 2, 1, 3] });
}

function normHeads(block: BlockContext, x: Value, name: string): Value {
  return block.spec.queryKeyNorm ? rmsNorm(block, x, `${block.prefix}.self_attn.${name}`) : x;
}

/** RoPE on [B, T, n, hd]; gives [B, n, T, hd]. */
function rotate({ graph, spec, layer }: BlockContext, x: Value): Value {
  const table = spec.isLocal[layer] && spec.localRope !== undefined ? LOCAL_ROPE : ROPE;
  return graph.node('RotaryEmbedding', [swapHeads(graph, x), POSITION_IDS, table.cos, table.sin], {}, CONTRIB);
}

/**
 * Softmaxed scores [B, Hkv, G*T, S]. The G query heads that share a key head are stacked along the rows, so that keys are never
 * repeated in memory.
 */
function attentionScores({ graph, spec, layer }: BlockContext, query: Value, keys: Value): Value {
  const { nHeads, nKvHeads, headDim, queryScale, attentionSoftcap } = spec;
  const grouped = graph.node('Reshape', [query, graph.int64([0, nKvHeads, -1, headDim])]);
  const raw = graph.node('FusedMatMul', [grouped, keys], { transB: 1, alpha: { float: queryScale } }, CONTRIB);
  const capped = attentionSoftcap === undefined ? raw : softcap(graph, raw, attentionSoftcap);
  const bias = spec.isLocal[layer] ? LOCAL_ATTENTION_BIAS : ATTENTION_BIAS;
  // [B, Hkv, G*T, S] -> [B, Hkv, G, T, S], where the bias [B, 1, 1, T, S] fits.
  const biasShape = graph.node('Shape', [bias]);
  const part = (from: number, to: number) => graph.node('Slice', [biasShape, graph.int64([from]), graph.int64([to])]);
  const perHead = graph.node('Concat', [part(0, 1), graph.int64([nKvHeads, nHeads / nKvHeads]), part(3, 5)], {
    axis: 0,
  });
  const split = graph.node('Reshape', [capped, perHead]);
  const weights = graph.node('Softmax', [graph.node('Add', [split, bias])], { axis: -1 });
  const stacked = graph.node('Concat', [part(0, 1), graph.int64([nKvHeads, -1]), part(4, 5)], { axis: 0 });
  return graph.node('Reshape', [weights, stacked]);
}

/** [B, Hkv, G*T, S] x [B, Hkv, S, hd] -> [B, T, H * hd] */
function weighValues({ graph, spec }: BlockContext, weights: Value, values: Value): Value {
  const { nHeads, headDim } = spec;
  const mixed = graph.node('MatMul', [weights, values]);
  const residualShape = graph.node('Shape', [RESIDUAL]);
  const part = (from: number) => graph.node('Slice', [residualShape, graph.int64([from]), graph.int64([from + 1])]);
  const perHead = graph.node('Concat', [part(0), graph.int64([nHeads]), part(1), graph.int64([headDim])], { axis: 0 });
  const rows = swapHeads(graph, graph.node('Reshape', [mixed, perHead]));
  return graph.node('Reshape', [rows, graph.int64([0, 0, nHeads * headDim])]);
}

/** cap * tanh(x / cap) */
export function softcap(graph: OnnxGraph, x: Value, cap: number): Value {
  const scaled = graph.node('Tanh', [graph.node('Div', [x, graph.float32(cap)])]);
  return graph.node('Mul', [scaled, graph.float32(cap)]);
}

/** down(act(gate(x)) * up(x)) (Shazeer 2020) */
export function gatedMlp({ graph, spec, weights, prefix }: BlockContext, x: Value): Value {
  const [gate, up] = weights.linears(graph, x, [`${prefix}.mlp.gate_proj`, `${prefix}.mlp.up_proj`]);
  const active =
    spec.activation === 'silu'
      ? graph.node('Mul', [gate, graph.node('Sigmoid', [gate])])
      : graph.node('Gelu', [gate], { approximate: 'tanh' });
  return weights.linear(graph, graph.node('Mul', [active, up]), `${prefix}.mlp.down_proj`);
}
