/** Every model, format and way of holding weights that is compared: the rows of `npm run check:models`. */
import type { Comparison } from './compare-model.js';

/** Model folder, and whether it has a GGUF file beside. */
const MODELS: readonly (readonly [name: string, hasGguf: boolean])[] = [
  ['llama3', true],
  ['llama-bf16-sharded', false],
  ['mistral', true],
  ['qwen2', true],
  ['qwen2-sliding', false],
  ['qwen3', true],
  ['gemma2', true],
  ['gemma2-bf16', false],
  ['gemma3', true],
  ['gemma3-multimodal', false],
];

export interface NamedComparison extends Comparison {
  readonly format: string;
  /** Allowed relative difference. */
  readonly limit: number;
}

/** The bound. */
const FLOAT32_LIMIT = 1e-4;
/** Half precision has 11 bits; a few products on end lose a few of them. */
const FLOAT16_LIMIT = 2e-2;

const ggufComparisons = (model: string): NamedComparison[] => [
  { model, format: 'GGUF F32', file: 'model.gguf', limit: FLOAT32_LIMIT },
  { model, format: 'GGUF F32, spooled', file: 'model.gguf', weights: { mode: 'spooled' }, limit: FLOAT32_LIMIT },
];

const ADAPTER = { adapter: 'adapter', reference: 'adapter/reference' };

export const MODEL_COMPARISONS: readonly NamedComparison[] = [
  ...MODELS.flatMap(([model, hasGguf]): NamedComparison[] => [
    { model, format: 'safetensors', limit: FLOAT32_LIMIT },
    { model, format: 'safetensors, mapped', weights: { mode: 'mapped' }, limit: FLOAT32_LIMIT },
    { model, format: 'safetensors, mapped as stored', weights: { mode: 'mapped-stored' }, limit: FLOAT32_LIMIT },
    {
      model,
      format: 'safetensors, mapped, float16 products',
      weights: { mode: 'mapped', computeType: 'float16' },
      limit: FLOAT16_LIMIT,
    },
    ...(hasGguf ? ggufComparisons(model) : []),
  ]),
  { model: 'llama3', format: 'GGUF Q8_0', file: 'model-q8_0.gguf', reference: 'reference-q8_0', limit: FLOAT32_LIMIT },
  { model: 'llama3', format: 'safetensors + LoRA', ...ADAPTER, limit: FLOAT32_LIMIT },
  { model: 'llama3', format: 'GGUF F32 + LoRA', file: 'model.gguf', ...ADAPTER, limit: FLOAT32_LIMIT },
  {
    model: 'llama3',
    format: 'GGUF F32, spooled + LoRA',
    file: 'model.gguf',
    ...ADAPTER,
    weights: { mode: 'spooled' },
    limit: FLOAT32_LIMIT,
  },
  {
    model: 'llama3',
    format: 'safetensors, mapped + LoRA',
    ...ADAPTER,
    weights: { mode: 'mapped' },
    limit: FLOAT32_LIMIT,
  },
];
