/** One target in a process of its own, so that a crash of native code ends neither the run nor what other targets found. */

import { findTarget } from '../targets/registry.js';
import type { CaseCounts } from './run-cases.js';
import { growthOf, type TargetResult } from './target-result.js';
import { type WatchLimits, watchCases } from './watch-cases.js';

export interface Order {
  readonly target: string;
  readonly limits: WatchLimits;
}

export type Word = { readonly progress: number } | { readonly result: TargetResult };

const say = (word: Word): void => {
  process.send?.(word);
};

process.once('message', async ({ target, limits }: Order) => {
  const { counts = NOTHING, cases, findings } = await watchCases(target, limits, (progress) => say({ progress }));
  const { defects, ...rest } = counts;
  say({
    result: {
      ...rest,
      cases,
      target,
      reads: findTarget(target).reads,
      seed: limits.seed,
      findings: [
        ...findings,
        ...defects.map(({ case: number, text }) => ({ kind: 'defect' as const, case: number, text })),
        ...growthOf(counts),
      ],
      rssBytes: process.memoryUsage.rss(),
    },
  });
  process.disconnect();
});

const NOTHING: CaseCounts = {
  cases: 0,
  seconds: 0,
  accepted: 0,
  refused: {},
  defects: [],
  defective: 0,
  slowestMs: 0,
  slowestCase: 0,
  warmBytes: 0,
  endBytes: 0,
};
