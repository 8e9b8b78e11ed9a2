/** What a stage is, and what it may use of the audit. A stage asks peers and returns plain facts; it knows nothing of files or events. */
import type { AuditFact } from '../audit/audit-event.js';
import type { AuditPrompt, AuditSpec } from '../audit/audit-spec.js';
import type { CallScope } from '../peers/drain-call.js';
import type { Peers } from '../peers/open-peers.js';
import type { StageName, StageResults } from './stage-results.js';

export interface StageContext {
  readonly spec: AuditSpec;
  readonly peers: Peers;
  readonly signal: AbortSignal;
  /** The scope of a call about one prompt (its id) or about the stage as a whole (absent). */
  call(promptId?: string): CallScope;
  /** Runs the task for each prompt, several at once, and keeps each result in the checkpoint. Results are in the order of `prompts`. */
  forEachPrompt<Result>(
    prompts: readonly AuditPrompt[],
    task: (prompt: AuditPrompt, call: CallScope) => Promise<Result>,
    part?: string,
  ): Promise<Result[]>;
  progress(done: number, total: number, detail?: string): void;
  /** Goes into the events and into the report. */
  warn(code: string, text: string): void;
  emit(fact: AuditFact): void;
}

export interface Stage<Name extends StageName> {
  readonly name: Name;
  run(context: StageContext, earlier: StageResults): Promise<Required<StageResults>[Name]>;
  /** One sentence for people, without prompt text. */
  summarize(result: Required<StageResults>[Name]): string;
}
