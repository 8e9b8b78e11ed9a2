/** The jobs of the SAE thread: plain data, copied. */
import type { FeatureId } from '../../../shared/tensors/feature-name.js';
import type { JobThread } from '../../../shared/threads/start-job-thread.js';
import type { SaeChoice } from '../find-saes.js';
import type { Neighbour } from '../nearest-features.js';
import type { Admission, LayerEditRows, SaeSummary } from '../sae-store.js';

/** What the thread starts from. */
export interface ThreadOptions {
  readonly saeDirs: readonly string[];
  readonly choice: SaeChoice;
  readonly cacheBytes: number;
}

/** Row r has entries [offsets[r], offsets[r + 1]). */
export interface PackedRows {
  readonly offsets: Uint32Array;
  readonly indices: Uint32Array;
  readonly values: Float32Array;
}

interface Job<Input, Output> {
  readonly input: Input;
  readonly event: never;
  readonly output: Output;
}

export interface Jobs {
  list: Job<Record<never, never>, SaeSummary[]>;
  encode: Job<{ layer: number; residual: Float32Array; width: number; features: readonly number[] }, PackedRows>;
  nearest: Job<{ layer: number; vector: Float32Array; count: number }, Neighbour[]>;
  editRows: Job<{ features: readonly FeatureId[] }, LayerEditRows[]>;
  admit: Job<{ layer: number; residual: Float32Array; width: number }, Admission>;
}

export type SaeThread = JobThread<Jobs>;
