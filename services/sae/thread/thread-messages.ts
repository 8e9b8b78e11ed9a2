/** What the process and the SAE thread say to each other: plain data, copied or transferred. */
import type { Fault, FaultCode } from '../../../shared/errors/fault.js';
import type { FeatureId } from '../../../shared/tensors/feature-name.js';
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

export interface Jobs {
  list: { readonly input: Record<never, never>; readonly output: SaeSummary[] };
  encode: {
    readonly input: { layer: number; residual: Float32Array; width: number; features: readonly number[] };
    readonly output: PackedRows;
  };
  nearest: { readonly input: { layer: number; vector: Float32Array; count: number }; readonly output: Neighbour[] };
  editRows: { readonly input: { features: readonly FeatureId[] }; readonly output: LayerEditRows[] };
  admit: {
    readonly input: { layer: number; residual: Float32Array; width: number };
    readonly output: Admission;
  };
}

export type JobKind = keyof Jobs;

export interface JobRequest<Kind extends JobKind = JobKind> {
  readonly id: number;
  readonly kind: Kind;
  readonly input: Jobs[Kind]['input'];
  /** One int32 in shared memory: 1 once the caller gave up. */
  readonly cancelled: Int32Array;
}

export interface PlainFault {
  readonly code: FaultCode;
  readonly message: string;
  readonly details: Fault['details'];
}

export type JobReply =
  | { readonly id: number; readonly output: Jobs[JobKind]['output'] }
  | { readonly id: number; readonly fault: PlainFault }
  | { readonly id: number; readonly defect: Error };

/** The first message of the thread: it has found its SAEs, or not. */
export type ThreadStart = { readonly ready: true } | { readonly fault: PlainFault } | { readonly defect: Error };
