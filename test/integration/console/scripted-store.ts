/** A store of audits in memory that a test fills while the console reads it. */

import type { ReadableStore } from '../../../services/console/store-audit-reader.js';
import type { AuditEvent, AuditFact } from '../../../services/coordinator/audit/audit-event.js';
import type { AuditRecord } from '../../../services/coordinator/audit/audit-record.js';
import { fault } from '../../../shared/errors/fault.js';

export class ScriptedStore implements ReadableStore {
  readonly #records = new Map<string, AuditRecord>();
  readonly #events = new Map<string, AuditEvent[]>();
  readonly #reports = new Map<string, string>();
  readonly #leases = new Set<string>();

  add(id: string, facts: Partial<AuditRecord> = {}): void {
    this.#records.set(id, {
      id,
      title: '',
      requestId: '',
      specSha256: '0'.repeat(64),
      state: 'running',
      stage: '',
      createdAt: '2026-11-20T09:12:44.000Z',
      updatedAt: '2026-11-20T09:17:09.000Z',
      error: '',
      evaluations: 0,
      evaluationsReused: 0,
      seconds: 0,
      resumed: 0,
      finishedStages: [],
      ...facts,
    });
    this.#leases.add(id);
  }

  emit(id: string, fact: AuditFact): void {
    const events = this.#events.get(id) ?? [];
    this.#events.set(id, [...events, { ...fact, sequence: events.length + 1, time: '2026-11-20T09:13:00.000Z' }]);
    if (fact.kind === 'ended')
      this.#records.set(id, { ...this.#records.get(id)!, state: fact.state, error: fact.error });
  }

  finish(id: string, report: string): void {
    this.#reports.set(id, report);
    this.emit(id, { kind: 'ended', state: 'succeeded', error: '' });
  }

  /** The process that worked on it is gone. */
  drop(id: string): void {
    this.#leases.delete(id);
  }

  list = async (): Promise<AuditRecord[]> => [...this.#records.values()].reverse();
  readEvents = async (id: string, after: number): Promise<AuditEvent[]> => (this.#events.get(id) ?? []).slice(after);
  readReport = async (id: string): Promise<string | undefined> => this.#reports.get(id);
  isLeased = async (id: string): Promise<boolean> => this.#leases.has(id);
  readRecord = async (id: string): Promise<AuditRecord> => {
    const record = this.#records.get(id);
    if (!record) throw fault('AUDIT_UNKNOWN', `No audit has the id "${id}".`);
    return record;
  };
}
