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
  const { counts, findings } = await watchCases(target, limits, (progress) => say({ progress }));
  const sum = sumOf(counts, limits);
  const { defects, ...rest } = sum;
  say({
    result: {
      ...rest,
      target,
      reads: findTarget(target).reads,
      seed: limits.seed,
      findings: [
        ...findings,
        ...defects.map(({ case: number, text }) => ({ kind: 'defect' as const, case: number, text })),
        ...growthOf(sum),
      ],
      rssBytes: process.memoryUsage.rss(),
    },
  });
  process.disconnect();
});

/** A thread that was ended takes its counts along; the last one has them for the cases behind. */
const sumOf = (counts: readonly CaseCounts[], { from }: WatchLimits): CaseCounts =>
  counts.at(-1) ?? {
    cases: from - from,
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
