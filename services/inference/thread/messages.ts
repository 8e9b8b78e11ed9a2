/** The jobs of the engine's thread: plain data, copied. */
import type { JobThread } from '../../../shared/threads/start-job-thread.js';
import type { LayerProof } from '../engine/apply-edits.js';
import type { LayerEditsInput } from '../engine/edit-bank.js';
import type { ScoreSpec } from '../engine/opener-tree.js';
import type { EvaluationOutput } from '../engine/pending-evaluation.js';
import type { PromptInput } from '../engine/scored-prompt.js';
import type { BatchTuning } from '../engine/tune-batch.js';
import type { ModelSpec } from '../model/model-spec.js';

/** What the blocks compute in: float32 is the reference, int8 and int4 are docs/numerics.md's modes, 16-bit floats are for GPUs. */
export const COMPUTE_TYPES = ['float32', 'int8', 'int4', 'float16', 'bfloat16'] as const;
export type ComputeDtype = (typeof COMPUTE_TYPES)[number];

export interface EngineOptions {
  /** GGUF file, or folder of Hugging Face files. */
  readonly modelPath: string;
  readonly adapterPath?: string;
  readonly threads: number;
  readonly compute: ComputeDtype;
  readonly device: string;
  /** Bytes of residuals and frozen keys that may be kept. */
  readonly cacheBytes: number;
}

/** A bank in full, or by the digest under which the thread keeps it. */
export type BankInput = { readonly layers: readonly LayerEditsInput[] } | { readonly digest: string };

/** Bits as they came over the wire: only the thread knows the size of a bank named by digest. Undefined: all edits on. */
export type MaskInput = Uint8Array | undefined;

export interface Jobs {
  evaluate: {
    readonly input: {
      readonly prompts: readonly PromptInput[];
      readonly bank: BankInput;
      readonly score: ScoreSpec;
      readonly evaluations: readonly { readonly prompt: number; readonly bits: Uint8Array }[];
      readonly firstTokenKl: boolean;
      /** For a caller that wants to know which other jobs its batches joined: they are told to each other by this number. */
      readonly ticket?: number;
    };
    readonly event: {
      readonly results: readonly EvaluationOutput[];
      readonly bankDigest: string;
      /** Tickets of jobs that a batch of this one has joined; such an event has no results. */
      readonly met?: readonly number[];
    };
    readonly output: { readonly bankDigest: string };
  };
  generate: {
    readonly input: {
      readonly prompts: readonly PromptInput[];
      readonly bank?: BankInput;
      readonly masks: readonly MaskInput[];
      readonly maxNewTokens: number;
      readonly endTokens: readonly number[];
    };
    readonly event: {
      readonly prompt: number;
      readonly tokenId: number;
      readonly finish?: 'end-token' | 'length';
      readonly proof?: readonly LayerProof[];
    };
    readonly output: Record<never, never>;
  };
  capture: {
    readonly input: {
      readonly prompts: readonly PromptInput[];
      readonly layers: readonly number[];
      /** From the start, or negative from the end; empty: all. */
      readonly positions: readonly number[];
      readonly bank?: BankInput;
      readonly mask: MaskInput;
    };
    readonly event: {
      readonly prompt: number;
      readonly positions: readonly number[];
      readonly residuals: readonly Float32Array[];
      readonly proof: readonly LayerProof[];
    };
    readonly output: Record<never, never>;
  };
  crossEntropy: {
    readonly input: {
      readonly prompts: readonly PromptInput[];
      readonly continuations: readonly (readonly number[])[];
      readonly bank?: BankInput;
      readonly masks: readonly MaskInput[];
    };
    readonly event: never;
    readonly output: readonly number[];
  };
  statistics: {
    readonly input: Record<never, never>;
    readonly event: never;
    readonly output: EngineStatistics;
  };
}

export interface EngineStatistics {
  readonly tokenBlocks: number;
  readonly cacheBytes: number;
  readonly states: number;
  readonly queued: number;
  /** What each batch since the last question took, in seconds; the oldest are left out where there are too many. */
  readonly batchSeconds: readonly number[];
}

export interface ReadyEngine {
  readonly spec: ModelSpec;
  readonly tuning: BatchTuning;
  /** The files of the model without its adapter, which decide its digest. */
  readonly files: readonly string[];
}

/** Blocks loaded so far, of all. */
export interface LoadingEngine {
  readonly done: number;
  readonly total: number;
}

export type EngineThread = JobThread<Jobs, ReadyEngine>;
