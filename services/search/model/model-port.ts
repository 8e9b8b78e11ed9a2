/**
 * What the search needs of a model, in the search's own words. The domain sees this port alone, so that every stage runs the same
 * on the real inference service and on a planted model whose mechanism is known.
 */
import type { Matrix } from '../../../shared/tensors/matrix.js';
import type { Bank } from './bank.js';

export interface Prompt {
  /** The caller's name for it: the only part of a prompt that results, logs and errors may show. */
  readonly id: string;
  readonly input:
    | { readonly kind: 'text'; readonly text: string }
    | { readonly kind: 'tokens'; readonly ids: readonly number[]; readonly instructionStart?: number };
}

export interface TokenizedPrompt {
  readonly tokenIds: readonly number[];
  /** First position of the instruction, and one past its last. */
  readonly instructionStart: number;
  readonly instructionEnd: number;
}

export interface TokenizedPiece {
  readonly tokenIds: readonly number[];
  readonly tokenTexts: readonly string[];
}

export interface ModelFacts {
  readonly model: string;
  readonly nLayers: number;
  readonly dModel: number;
  /** Tokens of the chat template after the instruction: the post-instruction positions -k..-1. */
  readonly templateSuffixLength: number;
  /** sha256 over everything that decides a score: weights, adapter, tokenizer, template, dtype. */
  readonly digest: string;
  readonly limits: ModelLimits;
}

export interface ModelLimits {
  readonly maxPrompts: number;
  readonly maxEvaluations: number;
  readonly maxBankEdits: number;
  readonly maxNewTokens: number;
}

/** How refusal is scored: openers as a prefix tree, the tokens of the first-token form, and the token of p_I. */
export interface ScoreSpec {
  readonly openers: readonly (readonly number[])[];
  readonly firstTokenIds: readonly number[];
  readonly iTokenId: number;
}

/** What the edits of one layer did. */
export interface LayerProof {
  readonly layer: number;
  readonly deltaNorm: number;
  readonly activeEdits: number;
  readonly activePairs: number;
  readonly residualNorm: number;
}

/** One prompt under one mask. */
export interface Evaluation {
  /** Log-odds. */
  readonly refusalScore: number;
  readonly firstTokenScore: number;
  readonly pI: number;
  /** KL(clean || edited) of the first answer token in nats, if it was asked for. */
  readonly firstTokenKl: number | undefined;
  /** False: no edit that is on changed anything, so these are the clean prompt's scores. */
  readonly acted: boolean;
  readonly proof: readonly LayerProof[];
}

export interface AnsweredEvaluation {
  /** Index into the batch's evaluations. */
  readonly index: number;
  readonly evaluation: Evaluation;
  /** Tokens x blocks that were computed for it; 0 if another evaluation had led to the same state. */
  readonly tokenBlocks: number;
}

export interface EvaluationBatch {
  readonly prompts: readonly Prompt[];
  readonly bank: Bank;
  readonly score: ScoreSpec;
  /** `on`: indices of the bank's edits, ascending. */
  readonly evaluations: readonly { readonly prompt: number; readonly on: readonly number[] }[];
  readonly firstTokenKl: boolean;
}

export interface CaptureRequest {
  readonly prompts: readonly Prompt[];
  /** Ascending. */
  readonly layers: readonly number[];
  /** From the end (-1 is the last) or from the start (>= 0); empty: all. */
  readonly positions: readonly number[];
  readonly edits?: { readonly bank: Bank; readonly on: readonly number[] };
}

export interface CapturedPrompt {
  readonly promptIndex: number;
  /** The positions of the rows, counted from the start. */
  readonly positions: readonly number[];
  /** By layer: [positions, d_model], after that layer's own edits. */
  readonly residuals: ReadonlyMap<number, Matrix>;
  readonly proof: readonly LayerProof[];
}

export interface GenerateRequest {
  readonly prompts: readonly Prompt[];
  /** `on`: one list of edits a prompt. */
  readonly edits?: { readonly bank: Bank; readonly on: readonly (readonly number[])[] };
  readonly maxNewTokens: number;
}

export interface Answer {
  readonly tokenIds: readonly number[];
  /** The text that became complete with each token; all together are the answer's text. */
  readonly pieces: readonly string[];
  /** False: the answer was cut at the token limit. */
  readonly ended: boolean;
  readonly proof: readonly LayerProof[];
}

export interface CrossEntropyRequest {
  readonly prompts: readonly Prompt[];
  /** Token ids, one list a prompt, 1 token at least. */
  readonly continuations: readonly (readonly number[])[];
  /** The same edits for all prompts. */
  readonly edits?: { readonly bank: Bank; readonly on: readonly number[] };
}

export interface RefusalModel {
  /** MODEL_UNKNOWN if another model than `model` is served; an empty name takes whatever is. */
  describe(model: string, signal: AbortSignal): Promise<ModelFacts>;
  tokenize(
    prompts: readonly Prompt[],
    pieces: readonly string[],
    signal: AbortSignal,
  ): Promise<{ readonly prompts: readonly TokenizedPrompt[]; readonly pieces: readonly TokenizedPiece[] }>;
  /** Answers in any order, each as soon as it is done. */
  evaluate(batch: EvaluationBatch, signal: AbortSignal): AsyncIterable<readonly AnsweredEvaluation[]>;
  capture(request: CaptureRequest, signal: AbortSignal): AsyncIterable<CapturedPrompt>;
  /** Greedy answers, one a prompt, in order. */
  generate(request: GenerateRequest, signal: AbortSignal): Promise<readonly Answer[]>;
  /** Nats a token of each continuation, one a prompt, in order. */
  crossEntropy(request: CrossEntropyRequest, signal: AbortSignal): Promise<readonly number[]>;
}
