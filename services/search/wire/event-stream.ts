/** Turns a stage that reports through callbacks into the stream of events that a handler yields. */
import { streamOf } from '../../../shared/streams/stream-of.js';
import type { EvaluationRecord } from '../model/evaluator.js';
import type { StageProgress } from '../model/scoring.js';

export type StageEvent<Result> =
  | { readonly kind: 'progress'; readonly progress: StageProgress }
  | { readonly kind: 'evaluation'; readonly record: EvaluationRecord }
  | { readonly kind: 'result'; readonly result: Result };

export interface StageReporter {
  readonly signal: AbortSignal;
  readonly onProgress: (progress: StageProgress) => void;
  readonly onEvaluation: (record: EvaluationRecord) => void;
}

/** Yields what the stage reports, in order, then its result; throws what it throws, after everything it had reported. */
export const streamStage = <Result>(
  callerSignal: AbortSignal,
  run: (reporter: StageReporter) => Promise<Result>,
): AsyncGenerator<StageEvent<Result>> =>
  streamOf<StageEvent<Result>>(async (emit, signal) => {
    const onProgress = (progress: StageProgress) => emit({ kind: 'progress', progress });
    const onEvaluation = (record: EvaluationRecord) => emit({ kind: 'evaluation', record });
    emit({ kind: 'result', result: await run({ signal, onProgress, onEvaluation }) });
  }, callerSignal);
