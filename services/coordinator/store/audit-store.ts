/**
 * Where audits live: an interface, so that a folder on disk and a key-value bucket are interchangeable. Everything written is there
 * after the promise resolves, and a writer that dies leaves either the old or the new value, never half of one.
 */
import type { AuditEvent } from '../audit/audit-event.js';
import type { AuditRecord } from '../audit/audit-record.js';
import type { AuditSpec } from '../audit/audit-spec.js';

/** A finished evaluation as search handed it out, filed under the prompt (or the stage) it belongs to. */
export interface StoredEvaluation {
  readonly scope: string;
  /** A serialized EvaluationRecord. */
  readonly record: Uint8Array;
}

export type EvidenceName = 'manifest.jsonl' | 'manifest.sig';

/** The right to work on an audit; held by at most one living process. */
export interface Lease {
  /** Aborts when the lease is lost: stop the work. Absent: it lasts as long as the process. */
  readonly lost?: AbortSignal;
  release(): Promise<void>;
}

export interface AcquireOptions {
  /** How long to wait for another holder's lease. Default 0. */
  readonly waitMs?: number;
  readonly signal?: AbortSignal;
}

export interface AuditStore {
  /** Whether coordinators elsewhere see these audits and take over what a dead or stopped one leaves. */
  readonly isShared: boolean;
  create(record: AuditRecord, spec: AuditSpec): Promise<void>;
  /** Newest first. */
  list(): Promise<AuditRecord[]>;
  /** Throws AUDIT_UNKNOWN, or CHECKPOINT_CORRUPT. */
  readRecord(id: string): Promise<AuditRecord>;
  readSpec(id: string): Promise<AuditSpec>;
  writeRecord(record: AuditRecord): Promise<void>;
  /** A stage's or prompt's result under its key, such as "filter/3f2a"; undefined if there is none. Throws CHECKPOINT_CORRUPT. */
  readResult(id: string, key: string): Promise<unknown>;
  writeResult(id: string, key: string, value: unknown): Promise<void>;
  readEvaluations(id: string): Promise<StoredEvaluation[]>;
  appendEvaluations(id: string, evaluations: readonly StoredEvaluation[]): Promise<void>;
  readEvents(id: string, afterSequence: number): Promise<AuditEvent[]>;
  /** @throws REVISION_CONFLICT if another process has stored an event of that number */
  appendEvent(id: string, event: AuditEvent): Promise<void>;
  /** report.json as text; undefined before the audit succeeded. */
  readReport(id: string): Promise<string | undefined>;
  writeReport(id: string, json: string): Promise<void>;
  /** A file of the audit's evidence (docs/evidence.md); undefined if there is none. */
  readEvidence(id: string, name: EvidenceName): Promise<string | undefined>;
  writeEvidence(id: string, name: EvidenceName, text: string): Promise<void>;
  /** Undefined while another living process holds it. A lease whose process died is taken over. */
  acquireLease(id: string, options?: AcquireOptions): Promise<Lease | undefined>;
  /** Whether this process holds the lease that it acquired last, at this very moment. */
  holdsLease(id: string): boolean;
  /** Whether a living process (this one included) holds the lease. */
  isLeased(id: string): Promise<boolean>;
}
