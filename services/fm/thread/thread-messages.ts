/** The jobs of the fit thread: plain data, copied. */
import type { JobThread } from '../../../shared/threads/start-job-thread.js';
import type { DesignMatrix } from '../design-matrix.js';
import type { FitReport, FitRequest } from '../fit-with-baseline.js';
import type { DesignOptions } from '../mask-designs.js';
import type { FitProgress } from '../steps.js';

export interface Jobs {
  fit: { readonly input: FitRequest; readonly event: FitProgress; readonly output: FitReport };
  design: { readonly input: DesignOptions; readonly event: never; readonly output: DesignMatrix };
}

export type FitThread = JobThread<Jobs>;
