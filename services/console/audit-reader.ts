/**
 * Owns what the console may know of audits: plain data and four ways to read it, none to change it. The coordinator implements it.
 * Prevents the web pages from reaching a checkpoint, a lease or a model.
 */
import type { AuditEvent } from '../coordinator/audit/audit-event.js';
import type { AuditRecord, AuditStateName } from '../coordinator/audit/audit-record.js';
import type { Report } from '../coordinator/report/report-type.js';

export type { AuditEvent, AuditStateName };

/** The part of an audit's record that pages show. */
export type AuditSummary = Pick<
  AuditRecord,
  'id' | 'title' | 'state' | 'stage' | 'createdAt' | 'updatedAt' | 'error' | 'evaluations' | 'evaluationsReused'
>;

export interface AuditPage {
  /** Newest first. */
  readonly audits: readonly AuditSummary[];
  /** Empty on the last page. */
  readonly nextPageToken: string;
}

export interface AuditReader {
  /** Throws REQUEST_INVALID for a token that it did not give. */
  list(page: { readonly size: number; readonly token: string }): Promise<AuditPage>;
  /** Throws AUDIT_UNKNOWN. */
  get(id: string): Promise<AuditSummary>;
  /** Events after `afterSequence`, the stored ones first, until the audit ends or the signal aborts. Throws AUDIT_UNKNOWN. */
  watch(id: string, afterSequence: number, signal: AbortSignal): AsyncIterable<AuditEvent>;
  /** The finished report. Throws AUDIT_UNKNOWN, and AUDIT_STATE while there is none. */
  report(id: string): Promise<Report>;
}
