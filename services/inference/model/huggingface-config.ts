/**
 * config.json of a Hugging Face folder, checked: every number within bounds, every key that changes the mathematics either understood
 * or refused by name. Prevents a model of a newer kind from being run as an older one.
 */
import { join } from 'node:path';
import { z } from 'zod';
import { BoundedFile } from '../../../shared/tensor-files/bounded-file.js';
import { parseBoundedJson } from '../../../shared/tensor-files/json-bounds.js';
import { corruptFile, unsupportedFile } from '../../../shared/tensor-files/tensor-file-faults.js';
import { FAMILY_NAMES, type FamilyName, isFamily } from './families.js';

/** The largest published config.json files, with label maps, stay below 1 MB. */
const MAX_BYTES = 4 << 20;
const BOUNDS = { maxDepth: 16, maxItems: 100_000, maxKeys: 2000 };

const count = (max: number) => z.number().int().min(1).max(max);
const positive = z.number().positive().max(1e12);

const RopeParameters = z.looseObject({
  rope_type: z.string().optional(),
  type: z.string().optional(),
  rope_theta: positive.optional(),
  factor: positive.nullish(),
  low_freq_factor: positive.nullish(),
  high_freq_factor: positive.nullish(),
  original_max_position_embeddings: positive.nullish(),
  partial_rotary_factor: z.literal(1).nullish(),
});

/** Absent and null are the same in most keys, as in transformers; where they differ the key is `optional` here. */
const TextConfig = z.looseObject({
  hidden_size: count(65_536),
  intermediate_size: count(1_000_000),
  num_hidden_layers: count(1000),
  num_attention_heads: count(1024).optional(),
  num_key_value_heads: count(1024).nullish(),
  head_dim: count(4096).nullish(),
  vocab_size: count(4_000_000).optional(),
  max_position_embeddings: count(100_000_000).optional(),
  rms_norm_eps: z.number().positive().max(1).optional(),
  hidden_act: z.string().nullish(),
  hidden_activation: z.string().nullish(),
  tie_word_embeddings: z.boolean().nullish(),
  attention_bias: z.boolean().nullish(),
  mlp_bias: z.boolean().nullish(),
  rope_theta: positive.nullish(),
  rope_local_base_freq: positive.nullish(),
  rope_scaling: RopeParameters.nullish(),
  rope_parameters: z
    .union([
      z.looseObject({ full_attention: RopeParameters.nullish(), sliding_attention: RopeParameters.nullish() }),
      RopeParameters,
    ])
    .nullish(),
  partial_rotary_factor: z.literal(1).nullish(),
  layer_types: z.array(z.enum(['full_attention', 'sliding_attention'])).nullish(),
  sliding_window: count(100_000_000).nullable().optional(),
  sliding_window_pattern: count(1000).nullish(),
  use_sliding_window: z.boolean().nullish(),
  max_window_layers: z.number().int().min(0).max(1000).nullish(),
  query_pre_attn_scalar: positive.optional(),
  attn_logit_softcapping: positive.nullable().optional(),
  final_logit_softcapping: positive.nullable().optional(),
  use_bidirectional_attention: z.literal(false).nullish(),
});

export type RopeParameters = z.infer<typeof RopeParameters>;
export type TextConfig = z.infer<typeof TextConfig>;

export interface HuggingfaceConfig {
  readonly path: string;
  readonly family: FamilyName;
  /** The language model's part. */
  readonly text: TextConfig;
}

/** model_type of text models inside multimodal configs, and the family whose mathematics they have. */
const ALIASES: Readonly<Record<string, string>> = { gemma3_text: 'gemma3' };

/** Faults: FILE_NOT_FOUND, TENSOR_FILE_CORRUPT (a key missing or out of bounds), TENSOR_FILE_UNSUPPORTED (another family). */
export function readHuggingfaceConfig(folder: string): HuggingfaceConfig {
  const path = join(folder, 'config.json');
  const whole = readJson(path);
  if (whole.quantization_config !== undefined && whole.quantization_config !== null) {
    throw unsupportedFile(path, '"quantization_config"', 'set', 'Use the unquantized safetensors, or a GGUF file.');
  }
  const nested = whole.text_config;
  const own = typeof nested === 'object' && nested !== null ? { ...inherited(whole), ...nested } : whole;
  const type = String('model_type' in own ? own.model_type : whole.model_type);
  const family = ALIASES[type] ?? type;
  if (!isFamily(family)) throw unsupportedFile(path, '"model_type"', type, `Supported are ${FAMILY_NAMES}.`);
  const parsed = TextConfig.safeParse(own);
  if (parsed.success) return { path, family, text: parsed.data };
  const { path: key, message } = parsed.error.issues[0];
  throw corruptFile(path, `"${key.join('.')}"`, given(own, key), message);
}

/** What a multimodal config says above its text_config. */
const inherited = (whole: Record<string, unknown>): Record<string, unknown> =>
  whole.tie_word_embeddings === undefined ? {} : { tie_word_embeddings: whole.tie_word_embeddings };

function readJson(path: string): Record<string, unknown> {
  const file = BoundedFile.open(path);
  try {
    if (file.size > MAX_BYTES) throw corruptFile(path, 'its size', file.size, `at most ${MAX_BYTES} bytes are read`);
    return parseBoundedJson(path, 'config.json', file.read(0, file.size, 'config.json'), BOUNDS);
  } finally {
    file.close();
  }
}

function given(config: unknown, key: readonly PropertyKey[]): string {
  let value = config;
  for (const part of key) value = (value as Record<PropertyKey, unknown> | undefined)?.[part];
  return value === undefined ? 'missing' : JSON.stringify(value);
}
