/** A Hugging Face folder seen as a model: config.json as a ModelSpec, and its tensors under the names of a plain text model. */
import { corruptFile, unsupportedFile } from '../../../shared/tensor-files/tensor-file-faults.js';
import { embeddingScaleOf, FAMILIES, type Family, slidingLayers } from './families.js';
import type { HuggingfaceConfig, RopeParameters, TextConfig } from './huggingface-config.js';
import type { ModelSpec, RopeSpec } from './model-spec.js';
import { linearRope, llama3Rope } from './rope-scaling.js';

/** Faults: TENSOR_FILE_CORRUPT (numbers that do not fit each other), TENSOR_FILE_UNSUPPORTED (an activation or scaling that is not read). */
export function huggingfaceSpec(config: HuggingfaceConfig): ModelSpec {
  const { text, family: architecture } = config;
  const family: Family = FAMILIES[architecture];
  const { defaults } = family;
  const nHeads = required(config, 'num_attention_heads', text.num_attention_heads ?? defaults.nHeads);
  const nKvHeads = text.num_key_value_heads ?? defaults.nKvHeads ?? nHeads;
  const headDim = text.head_dim ?? defaults.headDim ?? text.hidden_size / nHeads;
  if (!Number.isInteger(headDim) || headDim % 2 !== 0) {
    throw corruptFile(config.path, '"head_dim"', headDim, 'it must be an even integer; without it hidden_size / heads');
  }
  if (nHeads % nKvHeads !== 0) {
    throw corruptFile(config.path, '"num_key_value_heads"', nKvHeads, `it must divide the ${nHeads} attention heads`);
  }
  const slidingWindow = windowOf(text, family);
  return {
    architecture,
    nLayers: text.num_hidden_layers,
    dModel: text.hidden_size,
    nHeads,
    nKvHeads,
    headDim,
    ffDim: text.intermediate_size,
    vocabSize: required(config, 'vocab_size', text.vocab_size ?? defaults.vocabSize),
    contextLength: text.max_position_embeddings ?? family.contextLength,
    rmsEpsilon: text.rms_norm_eps ?? 1e-6,
    rope: ropeOf(config, 'full_attention', headDim),
    localRope: family.localTheta === undefined ? undefined : ropeOf(config, 'sliding_attention', headDim),
    tiedEmbeddings: text.tie_word_embeddings ?? family.tiedByDefault,
    embeddingScale: embeddingScaleOf(family, text.hidden_size),
    normOffset: family.normAddsOne ? 1 : 0,
    activation: activationOf(config),
    queryScale: (text.query_pre_attn_scalar ?? defaults.queryPreAttentionScalar ?? headDim) ** -0.5,
    attentionBias: family.alwaysQkvBias || text.attention_bias === true,
    queryKeyNorm: family.queryKeyNorm,
    attentionSoftcap: orDefault(text.attn_logit_softcapping, defaults.attentionSoftcap),
    logitSoftcap: orDefault(text.final_logit_softcapping, defaults.logitSoftcap),
    slidingWindow,
    isLocal: slidingWindow === undefined ? slidingLayers(text.num_hidden_layers, undefined) : localLayers(config),
  };
}

/** null switches a thing off; a missing key means the family's value. */
const orDefault = (value: number | null | undefined, byDefault: number | undefined): number | undefined =>
  value === undefined ? byDefault : (value ?? undefined);

function required(config: HuggingfaceConfig, key: string, value: number | undefined): number {
  if (value !== undefined) return value;
  throw corruptFile(config.path, `"${key}"`, 'missing', 'a positive integer is needed');
}

/** Qwen's window is off unless use_sliding_window says otherwise. */
function windowOf(text: TextConfig, family: Family): number | undefined {
  if (family.slidingPattern === undefined && text.use_sliding_window !== true) return undefined;
  return orDefault(text.sliding_window, family.defaults.slidingWindow);
}

function localLayers({ path, text, family }: HuggingfaceConfig): boolean[] {
  const { layer_types: types, num_hidden_layers: nLayers, max_window_layers: fullLayers } = text;
  if (types) {
    if (types.length === nLayers) return types.map((type) => type === 'sliding_attention');
    throw corruptFile(path, '"layer_types"', `${types.length} entries`, `the model has ${nLayers} layers`);
  }
  const pattern = text.sliding_window_pattern ?? (FAMILIES[family] as Family).slidingPattern;
  if (pattern !== undefined) return slidingLayers(nLayers, pattern);
  // Qwen: the layers from max_window_layers on slide; 28 where the file does not say.
  return Array.from({ length: nLayers }, (_, layer) => layer >= (fullLayers ?? 28));
}

function activationOf({ path, text, family }: HuggingfaceConfig): ModelSpec['activation'] {
  const { activation } = FAMILIES[family];
  const key = activation === 'silu' ? 'hidden_act' : 'hidden_activation';
  const name = text[key] ?? (activation === 'silu' ? 'silu' : 'gelu_pytorch_tanh');
  if (name === 'silu' || name === 'swish') return 'silu';
  if (name === 'gelu_pytorch_tanh') return 'gelu_tanh';
  throw unsupportedFile(path, `"${key}"`, name, 'silu and gelu_pytorch_tanh are.');
}

type LayerType = 'full_attention' | 'sliding_attention';

/** Both forms: rope_parameters (transformers 5), flat or by layer type, and rope_theta with rope_scaling before it. */
function ropeOf(config: HuggingfaceConfig, type: LayerType, headDim: number): RopeSpec {
  const { text, path } = config;
  const family: Family = FAMILIES[config.family];
  const isLocal = type === 'sliding_attention';
  const written = text.rope_parameters as
    | (Partial<Record<LayerType, RopeParameters | null>> & RopeParameters)
    | null
    | undefined;
  const byType = written?.full_attention !== undefined || written?.sliding_attention !== undefined;
  // The old form's scaling is for the global layers.
  const parameters = (byType ? written?.[type] : isLocal ? undefined : (written ?? text.rope_scaling)) ?? {};
  const oldTheta = isLocal ? text.rope_local_base_freq : text.rope_theta;
  const theta = parameters.rope_theta ?? oldTheta ?? (isLocal ? family.localTheta : undefined) ?? family.theta;
  const kind = parameters.rope_type ?? parameters.type ?? 'default';
  const key = written ? 'rope_parameters' : 'rope_scaling';
  const number = (name: 'factor' | 'low_freq_factor' | 'high_freq_factor'): number => {
    const value = parameters[name];
    if (value) return value;
    throw corruptFile(path, `"${key}.${name}"`, 'missing', `scaling of type "${kind}" needs it`);
  };
  if (kind === 'default') return { theta };
  if (kind === 'linear') return linearRope(theta, headDim, number('factor'));
  if (kind !== 'llama3') {
    throw unsupportedFile(
      path,
      `"${key}.rope_type"`,
      kind,
      'default, linear and llama3 are. Remove the scaling for prompts within the original context.',
    );
  }
  return llama3Rope(theta, headDim, {
    factor: number('factor'),
    lowFrequencyFactor: number('low_freq_factor'),
    highFrequencyFactor: number('high_freq_factor'),
    originalContext:
      parameters.original_max_position_embeddings ?? text.max_position_embeddings ?? family.contextLength,
  });
}
