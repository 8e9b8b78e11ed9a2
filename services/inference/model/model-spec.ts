/**
 * What a transformer is, in numbers: everything the graph needs besides the weights. One type for all families; what a family
 * does not have is absent. Symbols in comments are those of design.md.
 */

export interface RopeSpec {
  readonly theta: number;
  /** Divides each of the headDim / 2 frequencies (Llama 3 and linear scaling); absent: none. */
  readonly frequencyDivisors?: readonly number[];
}

export interface ModelSpec {
  /** Such as "llama", "gemma2": names the file in graph/architectures. */
  readonly architecture: string;
  readonly nLayers: number;
  /** d: width of the residual stream. */
  readonly dModel: number;
  readonly nHeads: number;
  readonly nKvHeads: number;
  readonly headDim: number;
  readonly ffDim: number;
  readonly vocabSize: number;
  readonly contextLength: number;
  readonly rmsEpsilon: number;
  readonly rope: RopeSpec;
  /** Gemma 3: the frequencies of its sliding-window layers. */
  readonly localRope?: RopeSpec;
  /** The output matrix is the embedding's. */
  readonly tiedEmbeddings: boolean;
  /** Embeddings are multiplied by this (Gemma: sqrt(d)). */
  readonly embeddingScale: number;
  /** RMSNorm multiplies by (normOffset + w): 1 for Gemma in Hugging Face files, else 0. */
  readonly normOffset: number;
  readonly activation: 'silu' | 'gelu_tanh';
  /** Attention scores are multiplied by this; usually headDim^-1/2. */
  readonly queryScale: number;
  readonly attentionBias: boolean;
  /** RMSNorm on queries and keys, per head (Qwen 3, Gemma 3). */
  readonly queryKeyNorm: boolean;
  /** Scores pass through cap * tanh(score / cap) (Gemma 2). */
  readonly attentionSoftcap?: number;
  readonly logitSoftcap?: number;
  /** Keys further back than this are not seen by the layers that `isLocal` names. */
  readonly slidingWindow?: number;
  /** One flag a layer: sliding window on. */
  readonly isLocal: readonly boolean[];
}
