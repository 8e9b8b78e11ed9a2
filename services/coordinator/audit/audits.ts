/**
 * All audits of this process: creates, runs, watches, cancels and resumes them. Prevents: two runs of one audit at once, and an audit
 * that stays "running" after its process died.
 */
import { randomBytes } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { fault, isFault } from '../../../shared/errors/fault.js';
import type { Logger } from '../../../shared/log/create-logger.js';
import type { Telemetry } from '../../../shared/telemetry/telemetry.js';
import type { Peers } from '../peers/open-peers.js';
import { peersOfAudit } from '../peers/peers-of-audit.js';
import { type Comparison, compareReports } from '../report/compare-reports.js';
import { parseReport } from '../report/parse-report.js';
import type { StageResults } from '../stages/stage-results.js';
import type { AuditStore, Lease } from '../store/audit-store.js';
import type { AuditEvent } from './audit-event.js';
import { type AuditRecord, type AuditStateName, isEnded } from './audit-record.js';
import { type AuditSpec, digestSpec } from './audit-spec.js';
import { EventWriter } from './event-writer.js';
import { HANDED_OVER, runAudit } from './run-audit.js';
import { TakeOver } from './take-over.js';

export interface AuditsOptions {
  readonly store: AuditStore;
  readonly peers: Peers;
  readonly logger: Logger;
  readonly telemetry?: Telemetry;
  /** Prompts of one audit worked on at once. */
  readonly concurrency: number;
  readonly peerWaitMs: number;
  readonly peerReturnMs?: number;
  /** The command that runs this process, for the report. */
  readonly commandLine?: string;
  /** Names a new audit; default: the time and four random digits. */
  readonly createId?: () => string;
}

interface Running {
  readonly abort: AbortController;
  readonly ended: Promise<AuditRecord>;
}

// How often a watcher looks again at an audit that another process works on.
const POLL_MS = 1_000;

export class Audits {
  private readonly running = new Map<string, Running>();
  /** Audits that ended because their end could not be stored either, until they are resumed. */
  private readonly unstored = new Map<string, AuditRecord>();
  private readonly changes = new EventEmitter().setMaxListeners(0);
  private takeOver: TakeOver | undefined;

  private constructor(private readonly options: AuditsOptions) {}

  /**
   * Audits whose process died: on a shared store they are taken over as soon as their leases end; else they are marked as interrupted, so
   * that a person can resume them.
   */
  static async open(options: AuditsOptions): Promise<Audits> {
    const audits = new Audits(options);
    options.telemetry?.metrics.observe('refusal.audits.running', () => audits.running.size);
    if (options.store.isShared) {
      audits.takeOver = audits.startTakeOver();
      return audits;
    }
    for (const record of await options.store.list()) {
      if (record.state === 'running') await audits.markInterrupted(record);
    }
    return audits;
  }

  /** With a request id that was used before: the audit it made, or REQUEST_INVALID if the spec differs. */
  async create(spec: AuditSpec, requestId: string): Promise<AuditRecord> {
    const specSha256 = digestSpec(spec);
    const earlier = requestId === '' ? undefined : await this.findByRequest(requestId);
    if (earlier !== undefined && earlier.specSha256 !== specSha256) {
      const name = JSON.stringify(requestId.slice(0, 128));
      throw fault(
        'REQUEST_INVALID',
        `request_id ${name} made audit ${earlier.id} from another spec: use a new request_id.`,
      );
    }
    if (earlier !== undefined) return earlier;
    const { commandLine } = this.options;
    const record = {
      ...newRecord((this.options.createId ?? createId)(), spec, requestId, specSha256),
      ...(commandLine !== undefined && { commandLine }),
    };
    await this.options.store.create(record, spec);
    // Another coordinator may have been faster to take it.
    return (await this.tryStart(record, spec)) ?? record;
  }

  async get(id: string): Promise<AuditRecord> {
    return this.unstored.get(id) ?? this.options.store.readRecord(id);
  }

  /** Newest first. */
  async list(): Promise<AuditRecord[]> {
    return (await this.options.store.list()).map((record) => this.unstored.get(record.id) ?? record);
  }

  /** Resolves once the audit has stopped. */
  async cancel(id: string): Promise<AuditRecord> {
    const own = this.running.get(id);
    if (own !== undefined) {
      own.abort.abort('cancelled');
      return own.ended;
    }
    const record = await this.get(id);
    if (record.state === 'cancelled') return record;
    if (record.state === 'interrupted') return this.end(record, 'cancelled');
    const why = record.state === 'running' ? 'runs in another process: cancel it there' : `has already ${record.state}`;
    throw fault('AUDIT_STATE', `Audit ${id} ${why}.`);
  }

  async resume(id: string): Promise<AuditRecord> {
    const stored = await this.get(id);
    const own = this.running.get(id);
    if (own !== undefined && !isEnded(stored.state)) return stored;
    // Its end is stored and its run is about to let go of it: whoever saw the end may resume it at once.
    const record = own === undefined ? stored : await own.ended;
    if (record.state === 'succeeded')
      throw fault('AUDIT_STATE', `Audit ${id} has succeeded: there is nothing to resume.`);
    const spec = await this.options.store.readSpec(id);
    const started = await this.tryStart({ ...record, resumed: record.resumed + 1 }, spec);
    if (started === undefined) throw fault('AUDIT_STATE', `Another process works on audit ${id}.`);
    return started;
  }

  /** Events after `afterSequence`: the stored ones, then new ones until the audit ends or the signal aborts. */
  async *watch(id: string, afterSequence: number, signal: AbortSignal): AsyncGenerator<AuditEvent> {
    let last = afterSequence;
    while (!signal.aborted) {
      // Read before the events: whatever ended the audit has been stored by then.
      const { state } = await this.get(id);
      const leftAlone = !this.running.has(id) && !(await this.options.store.isLeased(id));
      const change = this.nextChange(id, signal);
      for (const event of await this.options.store.readEvents(id, last)) {
        last = event.sequence;
        yield event;
      }
      if (leftAlone && (isEnded(state) || state === 'running')) return;
      await change;
    }
  }

  /** report.json as text. Throws AUDIT_STATE before there is one. */
  async report(id: string): Promise<string> {
    const { state } = await this.get(id);
    const json = await this.options.store.readReport(id);
    if (json === undefined) throw fault('AUDIT_STATE', `Audit ${id} is ${state}: it has no report yet.`);
    return json;
  }

  async compare(beforeId: string, afterId: string): Promise<Comparison> {
    const [before, after] = await Promise.all([this.readSide(beforeId), this.readSide(afterId)]);
    return compareReports(before, after);
  }

  /** Stops all runs at a checkpoint. On a shared store another coordinator, or this one after its restart, goes on. */
  async stop(): Promise<void> {
    await this.takeOver?.stop();
    const ends = [...this.running.values()].map(({ abort, ended }) => {
      abort.abort(this.options.store.isShared ? HANDED_OVER : 'interrupted');
      return ended;
    });
    await Promise.all(ends);
  }

  /** Undefined: another process works on it. */
  private async tryStart(record: AuditRecord, spec: AuditSpec): Promise<AuditRecord | undefined> {
    const lease = await this.options.store.acquireLease(record.id);
    return lease && this.begin(record, spec, lease);
  }

  private async begin(record: AuditRecord, spec: AuditSpec, lease: Lease): Promise<AuditRecord> {
    const started: AuditRecord = { ...record, state: 'running', error: '' };
    const abort = new AbortController();
    const handOver = () => abort.abort(HANDED_OVER);
    lease.lost?.addEventListener('abort', handOver, { once: true });
    if (lease.lost?.aborted) handOver();
    try {
      await this.options.store.writeRecord(started);
    } catch (thrown) {
      await lease.release();
      throw thrown;
    }
    this.unstored.delete(record.id);
    this.running.set(record.id, { abort, ended: this.run(started, spec, lease, abort.signal) });
    return started;
  }

  private startTakeOver(): TakeOver {
    const { store, logger } = this.options;
    return new TakeOver({
      store,
      logger,
      isOurs: (id) => this.running.has(id),
      goOn: async (record, lease) => {
        logger.info({ auditId: record.id, stage: record.stage }, 'audit taken over');
        const spec = await store.readSpec(record.id);
        await this.begin({ ...record, resumed: record.resumed + 1 }, spec, lease);
      },
    });
  }

  private async run(record: AuditRecord, spec: AuditSpec, lease: Lease, signal: AbortSignal): Promise<AuditRecord> {
    const { logger } = this.options;
    const peers = peersOfAudit(this.options.peers, record.id);
    const onChange = () => void this.changes.emit(record.id);
    try {
      return await runAudit({ ...this.options, peers, signal, onChange }, record, spec);
    } catch (thrown) {
      // The store itself failed: what it holds is the checkpoint to go on from, but no more the truth about the audit.
      logger.error({ err: thrown, auditId: record.id }, 'audit could not be stored');
      const error = isFault(thrown) ? `${thrown.code}: ${thrown.message}` : 'INTERNAL: The audit could not be stored.';
      const failed: AuditRecord = { ...record, state: 'failed', error };
      if (!this.options.store.isShared) this.unstored.set(record.id, failed);
      return failed;
    } finally {
      await lease
        .release()
        .catch((thrown: unknown) => logger.warn({ err: thrown }, 'a lease was left to end by itself'));
      this.running.delete(record.id);
      onChange();
    }
  }

  private async nextChange(id: string, signal: AbortSignal): Promise<void> {
    const either = AbortSignal.any([signal, AbortSignal.timeout(POLL_MS)]);
    await once(this.changes, id, { signal: either }).catch(() => undefined);
  }

  private async findByRequest(requestId: string): Promise<AuditRecord | undefined> {
    return (await this.list()).find((record) => record.requestId === requestId);
  }

  private async readSide(id: string) {
    const report = parseReport(await this.report(id));
    const stored = (await this.options.store.readResult(id, 'directions')) as
      | { readonly result: StageResults['directions'] }
      | undefined;
    return { report, directions: stored?.result.bestByLayer ?? [] };
  }

  private async markInterrupted(record: AuditRecord): Promise<void> {
    if (await this.options.store.isLeased(record.id)) return;
    await this.end(record, 'interrupted');
  }

  /** Ends an audit that no process works on. */
  private async end(record: AuditRecord, state: AuditStateName): Promise<AuditRecord> {
    const lease = await this.options.store.acquireLease(record.id);
    if (lease === undefined) return record;
    try {
      const ended = { ...record, state, updatedAt: new Date().toISOString() };
      await this.options.store.writeRecord(ended);
      const events = await EventWriter.open(this.options.store, record.id, () => undefined);
      events.emit({ kind: 'ended', state, error: '' });
      await events.flush();
      return ended;
    } finally {
      await lease.release();
    }
  }
}

const newRecord = (id: string, spec: AuditSpec, requestId: string, specSha256: string): AuditRecord => {
  const now = new Date().toISOString();
  return {
    id,
    title: spec.title,
    requestId,
    specSha256,
    state: 'running',
    stage: '',
    createdAt: now,
    updatedAt: now,
    error: '',
    evaluations: 0,
    evaluationsReused: 0,
    seconds: 0,
    resumed: 0,
    finishedStages: [],
  };
};

/** Such as 20261123-181530-4f1c: sorts by time, and two in one second still differ. */
const createId = (): string => {
  const digits = new Date().toISOString().replace(/\D/g, '');
  return `${digits.slice(0, 8)}-${digits.slice(8, 14)}-${randomBytes(2).toString('hex')}`;
};
