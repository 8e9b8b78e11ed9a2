/**
 * Takes an audit through its stages, from the first one that has not finished, to its report. Owns the audit's state while it runs.
 * Prevents: a checkpoint that is continued with another model than it was begun with.
 */
import { fault, isFault } from '../../../shared/errors/fault.js';
import type { Logger } from '../../../shared/log/create-logger.js';
import { silentTelemetry, type Telemetry } from '../../../shared/telemetry/telemetry.js';
import { writeManifest } from '../evidence/build-manifest.js';
import type { Peers } from '../peers/open-peers.js';
import { buildReport } from '../report/build-report.js';
import type { ReportWarning } from '../report/report-type.js';
import { describeStage } from '../stages/describe.js';
import { admitAgain } from '../stages/saes.js';
import type { StageContext } from '../stages/stage.js';
import type { StageName, StageResults } from '../stages/stage-results.js';
import { stagesOf } from '../stages/stages.js';
import type { AuditStore } from '../store/audit-store.js';
import type { AuditFact } from './audit-event.js';
import type { AuditRecord, AuditStateName } from './audit-record.js';
import type { AuditSpec } from './audit-spec.js';
import { againWhenPeersReturn, orAbort } from './await-peers.js';
import { EvaluationMemory } from './evaluation-memory.js';
import { EventWriter } from './event-writer.js';
import { loadStage, runStage, type StageEnvironment, type StageOutcome } from './run-stage.js';

/** The reason of an abort after which another process goes on: nothing more is written here. */
export const HANDED_OVER = 'handed over';

/** What the startup probe of k8s/base gives a pod of inference to load its model. */
const PEER_RETURN_MS = 600_000;

export interface AuditRunOptions {
  readonly store: AuditStore;
  readonly peers: Peers;
  readonly logger: Logger;
  /** Default: none. */
  readonly telemetry?: Telemetry;
  readonly concurrency: number;
  /** For a peer at the audit's start. */
  readonly peerWaitMs: number;
  /** For one that went away in the middle. Default 10 minutes. */
  readonly peerReturnMs?: number;
  /** Aborted with the state the audit is to end in, 'cancelled' or 'interrupted', or with HANDED_OVER. */
  readonly signal: AbortSignal;
  /** Called after each stored event and each change of the record. */
  readonly onChange: () => void;
}

/** Resolves with the record in its end state; faults of the audit are in the record, never thrown. */
export const runAudit = async (
  options: AuditRunOptions,
  started: AuditRecord,
  spec: AuditSpec,
): Promise<AuditRecord> => {
  const { store, telemetry = silentTelemetry } = options;
  const events = await EventWriter.open(store, started.id, options.onChange);
  let record = started;
  const update = async (change: Partial<AuditRecord>) => {
    record = { ...record, ...change, updatedAt: new Date().toISOString() };
    await store.writeRecord(record);
    options.onChange();
  };
  const startedAt = performance.now();
  const secondsBefore = started.seconds;
  const seconds = () => secondsBefore + (performance.now() - startedAt) / 1000;
  let ending: { state: AuditStateName; error: string };
  try {
    await update({ state: 'running', error: '' });
    const stages = () => runStages(options, spec, events, () => record, update, seconds);
    const { results, warnings } = await telemetry.inSpan('audit', { 'refusal.audit.id': started.id }, stages);
    await update({ seconds: seconds() });
    await store.writeReport(record.id, buildReport(record, spec, results, warnings, new Date()));
    await writeManifest(store, record.id);
    ending = { state: 'succeeded', error: '' };
  } catch (thrown) {
    ending = endingOf(thrown, options, record.id);
  }
  await events.flush().catch(() => undefined);
  if (options.signal.reason === HANDED_OVER) return record;
  await update({ ...ending, seconds: seconds() });
  events.emit({ kind: 'ended', ...ending });
  telemetry.metrics.add('refusal.audits', 1, { outcome: ending.state });
  await events.flush();
  return record;
};

const runStages = async (
  options: AuditRunOptions,
  spec: AuditSpec,
  events: EventWriter,
  record: () => AuditRecord,
  update: (change: Partial<AuditRecord>) => Promise<void>,
  seconds: () => number,
): Promise<{ results: StageResults; warnings: ReportWarning[] }> => {
  const { store, peers, signal, concurrency, telemetry = silentTelemetry, peerReturnMs = PEER_RETURN_MS } = options;
  const { id } = record();
  await orAbort(peers.waitUntilReady(options.peerWaitMs), signal);
  const memory = await EvaluationMemory.load(store, id);
  const emit = (fact: AuditFact) => events.emit(fact);
  const environment: StageEnvironment = { auditId: id, spec, store, peers, memory, signal, concurrency, emit };
  const results = {} as StageResults;
  const warnings: ReportWarning[] = [];
  const stages = stagesOf(spec);
  for (const [i, stage] of stages.entries()) {
    signal.throwIfAborted();
    const stored = await loadStage(environment, stage.name);
    if (stored !== undefined && stage.name === 'describe') {
      await assertSameModel(environment, stored as StageOutcome<'describe'>);
    }
    if (stored !== undefined && stage.name === 'saes') await admitAgain(quietContext(environment), results.describe);
    if (stored === undefined) {
      await update({ stage: stage.name });
      emit({ kind: 'stage-started', stage: stage.name, number: i + 1, stages: stages.length });
    }
    const outcome: StageOutcome<StageName> =
      stored ??
      (await telemetry.inSpan(`stage ${stage.name}`, { 'refusal.stage': stage.name }, () =>
        againWhenPeersReturn({ ...environment, peerReturnMs }, () => runStage(environment, stage, results)),
      ));
    Object.assign(results, { [stage.name]: outcome.result });
    warnings.push(...outcome.warnings);
    if (stored !== undefined) continue;
    telemetry.metrics.record('refusal.audit.stage.duration', outcome.seconds, { stage: stage.name });
    await finishStage(stage.name, stage.summarize(outcome.result), outcome, record(), update, emit, seconds());
  }
  return { results, warnings };
};

const finishStage = async (
  stage: string,
  summary: string,
  outcome: StageOutcome<StageName>,
  record: AuditRecord,
  update: (change: Partial<AuditRecord>) => Promise<void>,
  emit: (fact: AuditFact) => void,
  seconds: number,
): Promise<void> => {
  const finished = { stage, seconds: outcome.seconds, evaluations: outcome.evaluations };
  emit({ kind: 'stage-finished', ...finished, summary });
  await update({
    finishedStages: [...record.finishedStages, finished],
    evaluations: record.evaluations + outcome.evaluations,
    evaluationsReused: record.evaluationsReused + outcome.evaluationsReused,
    seconds,
  });
};

/** Describes the model again and compares the digests with those the checkpoint was begun with. */
export const assertSameModel = async (
  environment: StageEnvironment,
  stored: StageOutcome<'describe'>,
): Promise<void> => {
  const fresh = await describeStage.run(quietContext(environment), {} as StageResults);
  const digestsOf = ({ provenance: p }: StageResults['describe']) =>
    Object.entries({
      weights: p.weightsSha256,
      adapter: p.adapterSha256,
      tokenizer: p.tokenizerSha256,
      'chat template': p.chatTemplateSha256,
      dtype: p.computeDtype,
      ...Object.fromEntries(Object.entries(p.saeSha256).map(([layer, sha]) => [`SAE of layer ${layer}`, sha])),
    }).map(([name, value]) => `${name} ${value || 'none'}`);
  const before = new Set(digestsOf(stored.result));
  const changed = digestsOf(fresh).filter((digest) => !before.has(digest));
  if (changed.length > 0) {
    throw fault(
      'AUDIT_STATE',
      `The checkpoint was begun with other model files; now served: ${changed.join('; ')}. Serve the same files, or start a new audit.`,
    );
  }
};

/** For what is looked at again when a checkpoint goes on: nothing of it is progress. */
export const quietContext = ({ spec, peers, signal }: StageEnvironment): StageContext => {
  const unused = () => {
    throw fault('INTERNAL', 'A stage that is only looked at again makes no streamed calls.');
  };
  const ignore = () => undefined;
  return { spec, peers, signal, call: unused, forEachPrompt: unused, progress: ignore, warn: ignore, emit: ignore };
};

const endingOf = (
  thrown: unknown,
  options: AuditRunOptions,
  auditId: string,
): { state: AuditStateName; error: string } => {
  if (options.signal.aborted) {
    return { state: options.signal.reason === 'cancelled' ? 'cancelled' : 'interrupted', error: '' };
  }
  if (isFault(thrown) && thrown.code !== 'INTERNAL')
    return { state: 'failed', error: `${thrown.code}: ${thrown.message}` };
  options.logger.error({ err: thrown, auditId }, 'audit failed');
  const text = isFault(thrown) ? thrown.message : 'Internal error; the log has the cause.';
  return { state: 'failed', error: `INTERNAL: ${text}` };
};
