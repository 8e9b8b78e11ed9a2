/** Results of several runs as those of one, so that hours of cases need not come from one sitting. */
import type { TargetResult } from './harness/target-result.js';

/** One result a target, in the order in which targets first appear. */
export const mergeResults = (runs: readonly (readonly TargetResult[])[]): TargetResult[] => {
  const merged = new Map<string, TargetResult>();
  for (const result of runs.flat()) {
    const before = merged.get(result.target);
    merged.set(result.target, before === undefined ? result : sum(before, result));
  }
  return [...merged.values()];
};

/** Memory is that of the run with more cases: it is a course, and courses do not add up. */
const sum = (a: TargetResult, b: TargetResult): TargetResult => {
  const { warmBytes, endBytes, rssBytes, seed } = a.cases >= b.cases ? a : b;
  const { slowestMs, slowestCase } = a.slowestMs >= b.slowestMs ? a : b;
  const codes = [...new Set([...Object.keys(a.refused), ...Object.keys(b.refused)])];
  return {
    target: b.target,
    reads: b.reads,
    seed,
    cases: a.cases + b.cases,
    seconds: a.seconds + b.seconds,
    accepted: a.accepted + b.accepted,
    refused: Object.fromEntries(codes.map((code) => [code, (a.refused[code] ?? 0) + (b.refused[code] ?? 0)])),
    defective: a.defective + b.defective,
    findings: [...a.findings, ...b.findings],
    slowestMs,
    slowestCase,
    warmBytes,
    endBytes,
    rssBytes,
  };
};
