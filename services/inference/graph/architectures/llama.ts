/** Llama, Mistral, SmolLM2, Qwen 2.5 and Qwen 3: two pre-norms a block (Touvron et al. 2023). */
import { attention, type BlockContext, gatedMlp, rmsNorm } from '../layers.js';
import type { Value } from '../onnx-graph.js';

export function llamaBlock(block: BlockContext, x: Value, keep: (value: Value) => Value): Value {
  const { graph, prefix } = block;
  const attended = attention(block, rmsNorm(block, x, `${prefix}.input_layernorm`));
  const middle = keep(graph.node('Add', [x, attended]));
  const mlp = gatedMlp(block, rmsNorm(block, middle, `${prefix}.post_attention_layernorm`));
  return graph.node('Add', [middle, mlp]);
}
