/**
 * What a model family fixes beyond what its files say: the choices that its code makes, and the values that its published
 * config.json files leave out (as transformers 5.23 fills them in).
 */
import type { ModelSpec } from './model-spec.js';

export interface Family {
  /** RMSNorm multiplies by (1 + w); GGUF files hold 1 + w already. */
  readonly normAddsOne: boolean;
  /** Embeddings are multiplied by sqrt(d). */
  readonly scalesEmbeddings: boolean;
  /** Norms behind attention and behind the MLP too. */
  readonly fourNorms: boolean;
  readonly queryKeyNorm: boolean;
  /** q, k and v have biases whatever the config says. */
  readonly alwaysQkvBias: boolean;
  readonly activation: ModelSpec['activation'];
  readonly tiedByDefault: boolean;
  readonly theta: number;
  readonly localTheta?: number;
  readonly contextLength: number;
  /** Which layers slide where no list names them: all but every n-th; 1: all of them; absent: none. */
  readonly slidingPattern?: number;
  /** Values of keys that published files omit. */
  readonly defaults: {
    readonly nHeads?: number;
    readonly nKvHeads?: number;
    readonly headDim?: number;
    readonly vocabSize?: number;
    readonly slidingWindow?: number;
    readonly queryPreAttentionScalar?: number;
    readonly attentionSoftcap?: number;
    readonly logitSoftcap?: number;
  };
}

const LLAMA: Family = {
  normAddsOne: false,
  scalesEmbeddings: false,
  fourNorms: false,
  queryKeyNorm: false,
  alwaysQkvBias: false,
  activation: 'silu',
  tiedByDefault: false,
  theta: 10_000,
  contextLength: 2048,
  defaults: {},
};

const GEMMA: Family = {
  ...LLAMA,
  normAddsOne: true,
  scalesEmbeddings: true,
  fourNorms: true,
  activation: 'gelu_tanh',
  tiedByDefault: true,
  contextLength: 8192,
  slidingPattern: 2,
  defaults: { nHeads: 8, nKvHeads: 4, headDim: 256, slidingWindow: 4096, queryPreAttentionScalar: 256 },
};

export const FAMILIES = {
  llama: LLAMA,
  mistral: { ...LLAMA, contextLength: 131_072, slidingPattern: 1 },
  qwen2: { ...LLAMA, alwaysQkvBias: true, contextLength: 32_768 },
  qwen3: { ...LLAMA, queryKeyNorm: true, contextLength: 32_768, defaults: { headDim: 128 } },
  gemma2: {
    ...GEMMA,
    defaults: { ...GEMMA.defaults, vocabSize: 256_000, attentionSoftcap: 50, logitSoftcap: 30 },
  },
  gemma3: {
    ...GEMMA,
    queryKeyNorm: true,
    theta: 1_000_000,
    localTheta: 10_000,
    contextLength: 131_072,
    slidingPattern: 6,
    defaults: { ...GEMMA.defaults, vocabSize: 262_208 },
  },
} as const satisfies Record<string, Family>;

export type FamilyName = keyof typeof FAMILIES;

export const isFamily = (name: string): name is FamilyName => Object.hasOwn(FAMILIES, name);

export const FAMILY_NAMES: string = Object.keys(FAMILIES).join(', ');

/** One flag a layer: the sliding window is on, for a pattern as Family.slidingPattern has it. */
export const slidingLayers = (nLayers: number, pattern: number | undefined): boolean[] =>
  Array.from({ length: nLayers }, (_, layer) => {
    if (pattern === undefined) return false;
    return pattern === 1 || (layer + 1) % pattern !== 0;
  });

/** Gemma: sqrt(d), rounded to float32 as the reference does before it multiplies. */
export const embeddingScaleOf = (family: Family, dModel: number): number =>
  family.scalesEmbeddings ? Math.fround(Math.sqrt(dModel)) : 1;
