/** What the process and the fit thread say to each other: plain data, copied. */
import type { FaultCode } from '../../../shared/errors/fault.js';
import type { DesignMatrix } from '../design-matrix.js';
import type { FitReport, FitRequest } from '../fit-with-baseline.js';
import type { DesignOptions } from '../mask-designs.js';
import type { FitProgress } from '../steps.js';

export interface Jobs {
  fit: { readonly input: FitRequest; readonly output: FitReport };
  design: { readonly input: DesignOptions; readonly output: DesignMatrix };
}

export type JobKind = keyof Jobs;

export interface Job<Kind extends JobKind = JobKind> {
  readonly id: number;
  readonly kind: Kind;
  readonly input: Jobs[Kind]['input'];
}

export type ThreadRequest = Job | { readonly id: number; readonly cancel: true };

export type ThreadReply =
  | { readonly id: number; readonly progress: FitProgress }
  | { readonly id: number; readonly output: Jobs[JobKind]['output'] }
  | { readonly id: number; readonly fault: { readonly code: FaultCode; readonly message: string } }
  | { readonly id: number; readonly defect: Error };
