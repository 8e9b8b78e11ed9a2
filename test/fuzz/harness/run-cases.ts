/**
 * Runs the cases of one target one after the other, in the thread that calls it. Says before each case which one it is (`onCase`), so that
 * a watcher can name the case that hangs; counts, keeps each kind of defect once, and measures memory after collections.
 */
import { performance } from 'node:perf_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { OpenTarget } from './fuzz-target.js';
import { heldBytes } from './held-bytes.js';
import { type Outcome, randomOfCase, tryCase } from './try-case.js';

export interface RunLimits {
  readonly seed: number;
  /** First case, and one past the last. */
  readonly from: number;
  readonly to: number;
  readonly seconds: number;
}

export interface CaseDefect {
  readonly case: number;
  readonly text: string;
}

export interface CaseCounts {
  readonly cases: number;
  readonly seconds: number;
  readonly accepted: number;
  /** By fault code. */
  readonly refused: Readonly<Record<string, number>>;
  readonly defects: readonly CaseDefect[];
  /** Cases with a defect, each counted. */
  readonly defective: number;
  readonly slowestMs: number;
  readonly slowestCase: number;
  /** Heap and external memory after a collection: once warm, and at the end. */
  readonly warmBytes: number;
  readonly endBytes: number;
}

const MAX_KINDS = 8;
/** Caches and compiled code fill up in the first cases. */
const WARM_SHARE = 0.2;
const TURN_MS = 100;

export const runCases = async (
  target: OpenTarget,
  limits: RunLimits,
  onCase: (number: number) => void = () => {},
): Promise<CaseCounts> => {
  const tally = new Tally();
  const started = performance.now();
  const sinceStart = () => (performance.now() - started) / 1000;
  let warmBytes: number | undefined;
  let turnAt = started + TURN_MS;
  let number = limits.from;
  for (; number < limits.to && sinceStart() < limits.seconds; number++) {
    const share = Math.max((number - limits.from) / (limits.to - limits.from), sinceStart() / limits.seconds);
    if (warmBytes === undefined && share >= WARM_SHARE) warmBytes = heldBytes();
    onCase(number);
    const input = target.make(randomOfCase(limits.seed, number));
    const begun = performance.now();
    const outcome = tryCase(target, input);
    tally.add(number, outcome instanceof Promise ? await outcome : outcome, performance.now() - begun);
    // Reports and handles that close late need the event loop now and then.
    if (performance.now() > turnAt) {
      await nextTurn();
      turnAt = performance.now() + TURN_MS;
    }
  }
  const seconds = sinceStart();
  const endBytes = heldBytes();
  return { ...tally.counts(), cases: number - limits.from, seconds, warmBytes: warmBytes ?? endBytes, endBytes };
};

class Tally {
  private accepted = 0;
  private readonly refused: Record<string, number> = {};
  private readonly kinds = new Map<string, CaseDefect>();
  private defective = 0;
  private slowest = { ms: 0, case: 0 };

  add(number: number, outcome: Outcome, ms: number): void {
    if (ms > this.slowest.ms) this.slowest = { ms, case: number };
    if (outcome.kind === 'accepted') this.accepted++;
    else if (outcome.kind === 'refused') this.refused[outcome.code] = (this.refused[outcome.code] ?? 0) + 1;
    else {
      this.defective++;
      const kind = kindOf(outcome.text);
      if (!this.kinds.has(kind) && this.kinds.size < MAX_KINDS)
        this.kinds.set(kind, { case: number, text: outcome.text });
    }
  }

  counts() {
    return {
      accepted: this.accepted,
      refused: this.refused,
      defects: [...this.kinds.values()],
      defective: this.defective,
      slowestMs: this.slowest.ms,
      slowestCase: this.slowest.case,
    };
  }
}

/** Where an error was thrown tells defects apart better than its text, which may quote the input. */
const kindOf = (text: string): string => text.split('\n').find((line) => /^\s+at /.test(line)) ?? text.slice(0, 80);
