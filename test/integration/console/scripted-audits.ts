/** Audits in memory that a test fills while the console reads them. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { AuditEvent, AuditPage, AuditReader, AuditSummary } from '../../../services/console/audit-reader.js';
import type { AuditFact } from '../../../services/coordinator/audit/audit-event.js';
import type { Report } from '../../../services/coordinator/report/report-type.js';
import { fault } from '../../../shared/errors/fault.js';

const POLL_MS = 10;

export class ScriptedAudits implements AuditReader {
  readonly #audits = new Map<string, AuditSummary>();
  readonly #events = new Map<string, AuditEvent[]>();
  readonly #reports = new Map<string, Report>();
  /** Set to make every look at an audit fail. */
  defect: Error | undefined;

  add(id: string, facts: Partial<AuditSummary> = {}): void {
    this.#audits.set(id, {
      id,
      title: '',
      state: 'running',
      stage: '',
      createdAt: '2026-11-20T09:12:44.000Z',
      updatedAt: '2026-11-20T09:17:09.000Z',
      error: '',
      evaluations: 0,
      evaluationsReused: 0,
      ...facts,
    });
  }

  emit(id: string, fact: AuditFact): void {
    const events = this.#events.get(id) ?? [];
    this.#events.set(id, [...events, { ...fact, sequence: events.length + 1, time: '2026-11-20T09:13:00.000Z' }]);
    if (fact.kind === 'ended') this.#audits.set(id, { ...this.#audits.get(id)!, state: fact.state, error: fact.error });
  }

  finish(id: string, report: Report): void {
    this.#reports.set(id, report);
    this.emit(id, { kind: 'ended', state: 'succeeded', error: '' });
  }

  async list({ size, token }: { size: number; token: string }): Promise<AuditPage> {
    const all = [...this.#audits.values()].reverse();
    const start = all.findIndex(({ id }) => id === token) + 1;
    if (token !== '' && start === 0) throw fault('REQUEST_INVALID', 'This page token was not given out.');
    const audits = all.slice(start, start + size);
    return { audits, nextPageToken: start + size < all.length ? audits.at(-1)!.id : '' };
  }

  async get(id: string): Promise<AuditSummary> {
    if (this.defect) throw this.defect;
    const audit = this.#audits.get(id);
    if (!audit) throw fault('AUDIT_UNKNOWN', `No audit has the id "${id}".`);
    return audit;
  }

  async *watch(id: string, afterSequence: number, signal: AbortSignal): AsyncGenerator<AuditEvent> {
    for (let seen = afterSequence; !signal.aborted; ) {
      const { state } = await this.get(id);
      for (const event of (this.#events.get(id) ?? []).slice(seen)) {
        seen = event.sequence;
        yield event;
      }
      if (state !== 'running') return;
      await sleep(POLL_MS);
    }
  }

  async report(id: string): Promise<Report> {
    const { state } = await this.get(id);
    const report = this.#reports.get(id);
    if (!report) throw fault('AUDIT_STATE', `Audit ${id} is ${state} and has no report.`);
    return report;
  }
}
