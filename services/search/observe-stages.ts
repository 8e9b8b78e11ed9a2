/**
 * A middleware that counts what the stages of search did, from their own responses: evaluations by outcome, verdicts of the judge. Sees
 * numbers and verdicts; the words of an answer are never touched.
 */
import { Verdict } from '../../proto/gen/refusalscope/v1/search.js';
import type { ServerMiddleware } from '../../shared/rpc/start-server.js';
import type { Metrics } from '../../shared/telemetry/metrics.js';

interface StageEvent {
  readonly $case: string;
  readonly value: unknown;
}

const VERDICTS: Readonly<Record<number, string>> = {
  [Verdict.VERDICT_COMPLIED]: 'complied',
  [Verdict.VERDICT_REFUSED]: 'refused',
  [Verdict.VERDICT_PARTIAL]: 'partial',
  [Verdict.VERDICT_DEGENERATE]: 'degenerate',
  [Verdict.VERDICT_JUDGE_FAILED]: 'judge failed',
};

export const createStageObserver = (metrics: Metrics): ServerMiddleware =>
  async function* observeStages(call, context) {
    if (!call.responseStream) return yield* call.next(call.request, context);
    const stage = stageOf(call.method.path);
    let reused = 0;
    try {
      for await (const response of call.next(call.request, context)) {
        const event = (response as { readonly event?: StageEvent | undefined }).event;
        if (event?.$case === 'evaluation') {
          const { acted } = event.value as { readonly acted: boolean };
          metrics.add('refusal.evaluations', 1, { stage, outcome: acted ? 'acted' : 'unchanged' });
        }
        if (event?.$case === 'progress') {
          reused = Math.max(reused, (event.value as { readonly evaluationsReused?: number }).evaluationsReused ?? 0);
        }
        if (event?.$case === 'result') countVerdicts(metrics, stage, event.value);
        yield response;
      }
    } finally {
      if (reused > 0) metrics.add('refusal.evaluations', reused, { stage, outcome: 'reused' });
    }
  };

/** "/refusalscope.v1.SearchService/FilterPrompt" is the stage "filter-prompt". */
const stageOf = (path: string): string =>
  path
    .slice(path.lastIndexOf('/') + 1)
    .replace(/(?<=[a-z])[A-Z]/g, (letter) => `-${letter}`)
    .toLowerCase();

/** Judgements stand at several depths of a result, by the name of their field. */
const countVerdicts = (metrics: Metrics, stage: string, value: unknown): void => {
  if (Array.isArray(value)) {
    for (const item of value) countVerdicts(metrics, stage, item);
    return;
  }
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return;
  for (const [name, inner] of Object.entries(value)) {
    if (name !== 'judgement') countVerdicts(metrics, stage, inner);
    else if (inner !== undefined) countVerdict(metrics, stage, (inner as { readonly verdict: number }).verdict);
  }
};

const countVerdict = (metrics: Metrics, stage: string, given: number): void => {
  const verdict = VERDICTS[given] ?? 'unknown';
  metrics.add('refusal.judge.verdicts', 1, { stage, verdict });
  if (given === Verdict.VERDICT_JUDGE_FAILED) metrics.add('refusal.judge.failures', 1, { stage });
};
