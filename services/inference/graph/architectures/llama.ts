/**
 * Llama (Touvron et al. 2023), Mistral, Qwen 2.5 and Qwen 3: a norm before each half of the block. What else sets them apart is in
 * the spec and the files: Mistral's sliding window, Qwen 2.5's biases, Qwen 3's norms on queries and keys.
 */
import { attention, type BlockContext, gatedMlp, rmsNorm } from '../layers.js';
import type { Value } from '../onnx-graph.js';

export function llamaBlock(block: BlockContext, x: Value, keep: (value: Value) => Value): Value {
  const { graph, prefix } = block;
  const attended = attention(block, rmsNorm(block, x, `${prefix}.input_layernorm`));
  const middle = keep(graph.node('Add', [x, attended]));
  const mlp = gatedMlp(block, rmsNorm(block, middle, `${prefix}.post_attention_layernorm`));
  return graph.node('Add', [middle, mlp]);
}
