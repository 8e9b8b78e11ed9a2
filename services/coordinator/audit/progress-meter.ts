/** Adds up the progress of a stage's calls and reports it, but not more often than a person can read. */
import type { CallProgress } from '../peers/drain-call.js';
import type { AuditFact } from './audit-event.js';

const INTERVAL_MS = 500;

export class ProgressMeter {
  private readonly calls = new Map<object, CallProgress>();
  private whole: { done: number; total: number; detail: string } | undefined;
  private reportedAt = 0;

  constructor(
    private readonly stage: string,
    private readonly emit: (fact: AuditFact) => void,
  ) {}

  /** The latest word of one call. */
  update(call: object, progress: CallProgress): void {
    this.calls.set(call, progress);
    this.report();
  }

  /** How far the stage as a whole has come, where it has parts of its own. */
  setWhole(done: number, total: number, detail: string): void {
    this.whole = { done, total, detail };
    this.report();
  }

  get evaluations(): number {
    return this.sum((call) => call.evaluations);
  }

  get evaluationsReused(): number {
    return this.sum((call) => call.evaluationsReused);
  }

  private sum(pick: (call: CallProgress) => number): number {
    return [...this.calls.values()].reduce((total, call) => total + pick(call), 0);
  }

  private report(): void {
    const now = performance.now();
    if (this.reportedAt !== 0 && now - this.reportedAt < INTERVAL_MS) return;
    this.reportedAt = now;
    const { done, total, detail } = this.whole ?? [...this.calls.values()].at(-1) ?? { done: 0, total: 0, detail: '' };
    const { stage, evaluations, evaluationsReused } = this;
    this.emit({ kind: 'progress', stage, done, total, evaluations, evaluationsReused, detail });
  }
}
