/**
 * Follows one streamed call to its result: progress and finished evaluations are handed on as they come. If the peer goes away midway the
 * call is made again, with all evaluations so far as known, so that nothing that was finished is lost or run twice.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { EvaluationRecord } from '../../../proto/gen/refusalscope/v1/search.js';
import type { Progress } from '../../../proto/gen/refusalscope/v1/types.js';
import { FAULTS, fault, isFault } from '../../../shared/errors/fault.js';

export interface CallProgress {
  readonly done: number;
  readonly total: number;
  readonly evaluations: number;
  readonly evaluationsReused: number;
  readonly detail: string;
}

/** What a call may use of the audit it belongs to. */
export interface CallScope {
  readonly signal: AbortSignal;
  /** Serialized EvaluationRecords known for this scope at this moment. */
  known(): readonly Uint8Array[];
  onEvaluation(key: string, record: Uint8Array): void;
  onProgress(progress: CallProgress): void;
}

interface Answer<Result> {
  readonly event?:
    | { $case: 'progress'; value: Progress }
    | { $case: 'evaluation'; value: EvaluationRecord }
    | { $case: 'result'; value: Result }
    | undefined;
}

type Open<Result> = (known: EvaluationRecord[], options: { signal: AbortSignal }) => AsyncIterable<Answer<Result>>;

const MAX_ATTEMPTS = 4;
const RETRY_DELAY_MS = 1_000;

export const drainCall = async <Result>(scope: CallScope, open: Open<Result>): Promise<Result> => {
  for (let attempt = 1; ; attempt++) {
    try {
      return await follow(scope, open);
    } catch (thrown) {
      const helps = isFault(thrown) && FAULTS[thrown.code].retryable && attempt < MAX_ATTEMPTS;
      if (!helps || scope.signal.aborted) throw thrown;
      await sleep(RETRY_DELAY_MS * attempt * (0.5 + Math.random()), undefined, { signal: scope.signal });
    }
  }
};

const follow = async <Result>(scope: CallScope, open: Open<Result>): Promise<Result> => {
  const known = scope.known().map((record) => EvaluationRecord.decode(record));
  let result: Result | undefined;
  for await (const { event } of open(known, { signal: scope.signal })) {
    if (event?.$case === 'progress') scope.onProgress(event.value);
    else if (event?.$case === 'evaluation') {
      const record = EvaluationRecord.encode(event.value).finish();
      scope.onEvaluation(Buffer.from(event.value.key).toString('hex'), record);
    } else if (event?.$case === 'result') result = event.value;
  }
  if (result === undefined) throw fault('INTERNAL', 'A service ended its stream without a result.');
  return result;
};
