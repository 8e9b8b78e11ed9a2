/**
 * Runs one stage with its checkpoint: a finished stage is loaded, a finished prompt of it too, and what is new is written before it is used.
 */
import { createHash } from 'node:crypto';
import type { CallScope } from '../peers/drain-call.js';
import type { Peers } from '../peers/open-peers.js';
import type { ReportWarning } from '../report/report-type.js';
import type { Stage, StageContext } from '../stages/stage.js';
import type { StageName, StageResults } from '../stages/stage-results.js';
import type { AuditStore } from '../store/audit-store.js';
import type { AuditFact } from './audit-event.js';
import type { AuditPrompt, AuditSpec } from './audit-spec.js';
import type { EvaluationMemory } from './evaluation-memory.js';
import { ProgressMeter } from './progress-meter.js';
import { runTasks } from './run-tasks.js';

export interface StageEnvironment {
  readonly auditId: string;
  readonly spec: AuditSpec;
  readonly store: AuditStore;
  readonly peers: Peers;
  readonly memory: EvaluationMemory;
  readonly signal: AbortSignal;
  /** Prompts worked on at once. */
  readonly concurrency: number;
  emit(fact: AuditFact): void;
}

export interface StageOutcome<Name extends StageName> {
  readonly result: Required<StageResults>[Name];
  readonly warnings: readonly ReportWarning[];
  readonly seconds: number;
  readonly evaluations: number;
  readonly evaluationsReused: number;
}

/** The stored outcome of a stage, if it has finished before. */
export const loadStage = async <Name extends StageName>(
  environment: StageEnvironment,
  name: Name,
): Promise<StageOutcome<Name> | undefined> =>
  (await environment.store.readResult(environment.auditId, name)) as StageOutcome<Name> | undefined;

export const runStage = async <Name extends StageName>(
  environment: StageEnvironment,
  stage: Stage<Name>,
  earlier: StageResults,
): Promise<StageOutcome<Name>> => {
  const startedAt = performance.now();
  const warnings: ReportWarning[] = [];
  const meter = new ProgressMeter(stage.name, environment.emit);
  const context = createContext(environment, stage.name, meter, warnings);
  const result = await stage.run(context, earlier).finally(() => environment.memory.flush());
  const { evaluations, evaluationsReused } = meter;
  const seconds = (performance.now() - startedAt) / 1000;
  const outcome = { result, warnings, seconds, evaluations, evaluationsReused };
  await environment.store.writeResult(environment.auditId, stage.name, outcome);
  return outcome;
};

const createContext = (
  environment: StageEnvironment,
  stage: StageName,
  meter: ProgressMeter,
  warnings: ReportWarning[],
): StageContext => {
  const { spec, peers, signal, memory } = environment;
  const scopeOf = (scope: string, callSignal: AbortSignal): CallScope => {
    const call = {};
    return {
      signal: callSignal,
      known: () => memory.known(scope),
      onEvaluation: (key, record) => memory.remember(scope, key, record),
      onProgress: (progress) => meter.update(call, progress),
    };
  };
  return {
    spec,
    peers,
    signal,
    call: (promptId) => scopeOf(promptId === undefined ? `stage:${stage}` : promptScope(promptId), signal),
    forEachPrompt: (prompts, task, part) =>
      forEachPrompt(environment, meter, part === undefined ? stage : `${stage}-${part}`, prompts, (prompt, own) =>
        task(prompt, scopeOf(promptScope(prompt.id), own)),
      ),
    progress: (done, total, detail = '') => meter.setWhole(done, total, detail),
    warn: (code, text) => {
      warnings.push({ code, text });
      environment.emit({ kind: 'warning', code, text });
    },
    emit: environment.emit,
  };
};

// Evaluations of a prompt are shared by all stages: the key covers everything else.
const promptScope = (promptId: string): string => `prompt:${promptId}`;

const forEachPrompt = async <Result>(
  { store, auditId, memory, concurrency, signal }: StageEnvironment,
  meter: ProgressMeter,
  part: string,
  prompts: readonly AuditPrompt[],
  task: (prompt: AuditPrompt, signal: AbortSignal) => Promise<Result>,
): Promise<Result[]> => {
  let done = 0;
  meter.setWhole(done, prompts.length, part);
  return runTasks(prompts, concurrency, signal, async (prompt, own) => {
    const key = `${part}/${createHash('sha256').update(prompt.id).digest('hex').slice(0, 24)}`;
    let kept = (await store.readResult(auditId, key)) as { readonly result: Result } | undefined;
    if (kept === undefined) {
      kept = { result: await task(prompt, own) };
      await memory.flush();
      await store.writeResult(auditId, key, kept);
    }
    done += 1;
    meter.setWhole(done, prompts.length, part);
    return kept.result;
  });
};
