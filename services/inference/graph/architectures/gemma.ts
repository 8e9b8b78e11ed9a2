/**
 * Gemma 2 (Gemma Team 2024) and Gemma 3 text (2025): a norm before and after both halves of the block. What else sets them apart is
 * in the spec: soft-capping in Gemma 2; norms on queries and keys, and two sets of rotary frequencies, in Gemma 3.
 */
import { attention, type BlockContext, gatedMlp, rmsNorm } from '../layers.js';
import type { Value } from '../onnx-graph.js';

export function gemmaBlock(block: BlockContext, x: Value, keep: (value: Value) => Value): Value {
  const { graph, prefix } = block;
  const attended = attention(block, rmsNorm(block, x, `${prefix}.input_layernorm`));
  const middle = keep(graph.node('Add', [x, rmsNorm(block, attended, `${prefix}.post_attention_layernorm`)]));
  const mlp = gatedMlp(block, rmsNorm(block, middle, `${prefix}.pre_feedforward_layernorm`));
  return graph.node('Add', [middle, rmsNorm(block, mlp, `${prefix}.post_feedforward_layernorm`)]);
}
