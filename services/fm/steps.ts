/**
 * How long arithmetic shares a thread. Every fit is a generator that pauses after a small piece of work; `runSteps` resumes it
 * and hands the event loop back every few milliseconds. Without this a large fit could not be cancelled, and the fits of two
 * callers would wait for each other.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { fault } from '../../shared/errors/fault.js';

/** What a fit says about itself as it goes on. */
export interface FitProgress {
  /** Which model is being fitted. */
  readonly model: string;
  /** Passes over the training rows so far, from 1. */
  readonly epoch: number;
  /** Upper bound of passes; a fit may stop earlier. */
  readonly epochs: number;
  /** Mean loss on the training rows (standardised squared error, or log-loss in nats). */
  readonly trainLoss: number;
  /** Mean loss on the validation rows, in the same unit; absent where the fit does not look at them. */
  readonly validationLoss?: number;
}

/** A computation in small pieces: pauses with `undefined` or with progress, and ends with its result. */
export type Steps<T> = Generator<FitProgress | undefined, T, void>;

export interface RunStepsOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: FitProgress) => void;
}

/** Multiplications between two pauses: about 1 ms in Node 20. */
export const OPERATIONS_PER_STEP = 500_000;
const SLICE_MS = 8;

/** Runs to the end without blocking the event loop for more than about SLICE_MS. Throws CANCELLED once the signal aborts. */
export async function runSteps<T>(steps: Steps<T>, options: RunStepsOptions = {}): Promise<T> {
  let sliceStart = performance.now();
  for (;;) {
    if (options.signal?.aborted) throw fault('CANCELLED', 'the fit was cancelled by the caller');
    const step = steps.next();
    if (step.done) return step.value;
    if (step.value) options.onProgress?.(step.value);
    if (performance.now() - sliceStart < SLICE_MS) continue;
    await nextTurn();
    sliceStart = performance.now();
  }
}

/** Runs to the end at once: for tests, benches and small inputs. */
export function runStepsNow<T>(steps: Steps<T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}
