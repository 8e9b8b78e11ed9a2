/** What one request may ask for. Beyond: REQUEST_TOO_LARGE, told at the door and before any work. */
export interface InferenceLimits {
  readonly maxPrompts: number;
  readonly maxEvaluations: number;
  readonly maxBankEdits: number;
  readonly maxNewTokens: number;
  readonly maxMessageBytes: number;
  /** Evaluations of all callers that may wait at once; beyond: BUSY. */
  readonly maxQueuedEvaluations: number;
  /** Tokens of prompt and answer together, where the model's own context is longer. */
  readonly maxTokens: number;
}

export const DEFAULT_LIMITS: InferenceLimits = {
  maxPrompts: 1024,
  maxEvaluations: 16_384,
  maxBankEdits: 16_384,
  maxNewTokens: 1024,
  maxMessageBytes: 128 << 20,
  maxQueuedEvaluations: 131_072,
  // Attention over the whole context is quadratic: a longer prompt is an accident more often than a wish.
  maxTokens: 4096,
};
