/** Turns a stage that reports through callbacks into the stream of events that a handler yields, and stops the stage when the reader goes away. */

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
export async function* streamStage<Result>(
  callerSignal: AbortSignal,
  run: (reporter: StageReporter) => Promise<Result>,
): AsyncGenerator<StageEvent<Result>> {
  const reader = new AbortController();
  const queue: StageEvent<Result>[] = [];
  let wake = (): void => undefined;
  const push = (event: StageEvent<Result>): void => {
    queue.push(event);
    wake();
  };
  const reporter: StageReporter = {
    signal: AbortSignal.any([callerSignal, reader.signal]),
    onProgress: (progress) => push({ kind: 'progress', progress }),
    onEvaluation: (record) => push({ kind: 'evaluation', record }),
  };
  let failure: { readonly reason: unknown } | undefined;
  let isRunning = true;
  const ended = run(reporter)
    .then((result) => push({ kind: 'result', result }))
    .catch((reason: unknown) => {
      failure = { reason };
    })
    .finally(() => {
      isRunning = false;
      wake();
    });
  try {
    while (isRunning || queue.length > 0) {
      const event = queue.shift();
      if (event !== undefined) yield event;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
    await ended;
  } finally {
    reader.abort();
  }
  if (failure !== undefined) throw failure.reason;
}
