/** Architecture name -> definition of its block. */
import { fault } from '../../../../shared/errors/fault.js';
import type { BlockContext } from '../layers.js';
import type { Value } from '../onnx-graph.js';
import { gemmaBlock } from './gemma.js';
import { llamaBlock } from './llama.js';

/**
 * x [B, T, d] -> [B, T, d]. `keep` is called once, right after attention: everything behind it works row by row, so that rows
 * nobody asks for can be dropped there.
 */
export type BlockDefinition = (block: BlockContext, x: Value, keep: (value: Value) => Value) => Value;

const BLOCKS: Readonly<Record<string, BlockDefinition>> = {
  llama: llamaBlock,
  mistral: llamaBlock,
  qwen2: llamaBlock,
  qwen3: llamaBlock,
  gemma2: gemmaBlock,
  gemma3: gemmaBlock,
};

export const blockDefinition = (architecture: string): BlockDefinition => {
  const found = BLOCKS[architecture];
  if (found !== undefined) return found;
  throw fault(
    'TENSOR_FILE_UNSUPPORTED',
    `The model's architecture is "${architecture}"; supported are ${Object.keys(BLOCKS).join(', ')}.`,
  );
};
