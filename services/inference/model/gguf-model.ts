/**
 * The metadata of a GGUF file as a ModelSpec. Where the format leaves a number out (Gemma's query scale, say), the value is the one
 * that llama.cpp has in its code for that family.
 */

import type { GgufFile } from '../../../shared/tensor-files/gguf.js';
import { corruptFile, unsupportedFile } from '../../../shared/tensor-files/tensor-file-faults.js';
import {
  embeddingScaleOf,
  FAMILIES,
  FAMILY_NAMES,
  type Family,
  type FamilyName,
  isFamily,
  slidingLayers,
} from './families.js';
import type { ModelSpec, RopeSpec } from './model-spec.js';
import { linearRope } from './rope-scaling.js';

/** The 27B models of Gemma 2 and 3, told by their layers, scale queries by d / heads and not by the width of a head. */
const SCALED_BY_MODEL_WIDTH: Readonly<Record<string, number>> = { gemma2: 46, gemma3: 62 };

/** Bounds of metadata numbers: far beyond any model, small enough that no product overflows. */
const MAX_COUNT = 100_000_000;
/** As in config.json: lists with an entry a layer are built before the tensors are looked at. */
const MAX_LAYERS = 1000;

/** Faults: TENSOR_FILE_CORRUPT (a key is missing or out of bounds), TENSOR_FILE_UNSUPPORTED (another family or RoPE scaling). */
export function ggufSpec(file: GgufFile): ModelSpec {
  const { architecture, keys } = openKeys(file);
  const family: Family = FAMILIES[architecture];
  const nHeads = keys.count('attention.head_count');
  const dModel = keys.count('embedding_length');
  const nLayers = keys.count('block_count', MAX_LAYERS);
  const nKvHeads = keys.optionalCount('attention.head_count_kv') ?? nHeads;
  const headDim = keys.optionalCount('attention.key_length') ?? dModel / nHeads;
  if (!Number.isInteger(headDim) || headDim % 2 !== 0) {
    throw corruptFile(file.path, 'the width of an attention head', headDim, 'it must be an even integer');
  }
  if (nHeads % nKvHeads !== 0) {
    throw corruptFile(
      file.path,
      `metadata "${architecture}.attention.head_count_kv"`,
      nKvHeads,
      `it must divide the ${nHeads} heads`,
    );
  }
  const slidingWindow = keys.optionalCount('attention.sliding_window');
  const width = SCALED_BY_MODEL_WIDTH[architecture] === nLayers ? dModel / nHeads : headDim;
  return {
    architecture,
    nLayers,
    dModel,
    nHeads,
    nKvHeads,
    headDim,
    ffDim: keys.count('feed_forward_length'),
    vocabSize: file.info('token_embd.weight').shape[0],
    contextLength: keys.count('context_length'),
    rmsEpsilon: keys.required('attention.layer_norm_rms_epsilon'),
    rope: ropeOf(file, keys, family, headDim),
    localRope:
      family.localTheta === undefined ? undefined : { theta: keys.positive('rope.freq_base_swa') ?? family.localTheta },
    tiedEmbeddings: !file.has('output.weight'),
    embeddingScale: embeddingScaleOf(family, dModel),
    // The converter adds Gemma's 1 to the norms that it writes.
    normOffset: 0,
    activation: family.activation,
    queryScale: width ** -0.5,
    attentionBias: family.alwaysQkvBias || file.has('blk.0.attn_q.bias'),
    queryKeyNorm: family.queryKeyNorm,
    attentionSoftcap: keys.positive('attn_logit_softcapping') ?? family.defaults.attentionSoftcap,
    logitSoftcap: keys.positive('final_logit_softcapping') ?? family.defaults.logitSoftcap,
    slidingWindow,
    isLocal: slidingLayers(nLayers, slidingWindow === undefined ? undefined : slidingPattern(keys, family)),
  };
}

/** Files of Mistral say "llama": their window, where the file has one, is on in every layer. */
const slidingPattern = (keys: Keys, family: Family): number =>
  keys.optionalCount('attention.sliding_window_pattern') ?? family.slidingPattern ?? 1;

function ropeOf(file: GgufFile, keys: Keys, family: Family, headDim: number): RopeSpec {
  const theta = keys.positive('rope.freq_base') ?? family.theta;
  if (file.has('rope_freqs.weight')) {
    const divisors = [...file.readFloat32('rope_freqs.weight')];
    if (divisors.length === headDim / 2 && divisors.every((value) => Number.isFinite(value) && value > 0)) {
      return { theta, frequencyDivisors: divisors };
    }
    throw corruptFile(
      file.path,
      'tensor "rope_freqs.weight"',
      `${divisors.length} values`,
      `it must hold ${headDim / 2} positive ones`,
    );
  }
  const kind = keys.text('rope.scaling.type') ?? 'none';
  if (kind === 'none') return { theta };
  if (kind === 'linear') return linearRope(theta, headDim, keys.positive('rope.scaling.factor') ?? 1);
  throw unsupportedFile(file.path, 'metadata "rope.scaling.type"', kind, 'none, linear and Llama 3 frequencies are.');
}

/** Typed, bounded access to the keys of the file's architecture. */
interface Keys {
  required(key: string): number;
  positive(key: string): number | undefined;
  count(key: string, max?: number): number;
  optionalCount(key: string, max?: number): number | undefined;
  text(key: string): string | undefined;
}

function openKeys(file: GgufFile): { architecture: FamilyName; keys: Keys } {
  const architecture = file.text('general.architecture') ?? 'none';
  if (!isFamily(architecture)) {
    throw unsupportedFile(file.path, 'metadata "general.architecture"', architecture, `Supported are ${FAMILY_NAMES}.`);
  }
  const wrong = (key: string, value: number | undefined, limit: string) =>
    corruptFile(file.path, `metadata "${architecture}.${key}"`, value ?? 'missing', limit);
  const positive = (key: string): number | undefined => {
    const value = file.number(`${architecture}.${key}`);
    if (value === undefined || (Number.isFinite(value) && value > 0)) return value;
    throw wrong(key, value, 'it must be a positive number');
  };
  const optionalCount = (key: string, max = MAX_COUNT): number | undefined => {
    const value = positive(key);
    if (value === undefined || (Number.isInteger(value) && value <= max)) return value;
    throw wrong(key, value, `it must be an integer of at most ${max}`);
  };
  const needed = (key: string, value: number | undefined): number => {
    if (value !== undefined) return value;
    throw wrong(key, undefined, 'it must be a positive number');
  };
  return {
    architecture,
    keys: {
      positive,
      optionalCount,
      required: (key) => needed(key, positive(key)),
      count: (key, max) => needed(key, optionalCount(key, max)),
      text: (key) => file.text(`${architecture}.${key}`),
    },
  };
}
