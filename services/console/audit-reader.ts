/**
 * Owns what the console may know of audits: plain data and four ways to read it, none to change it. The coordinator
 * implements it; prevents the web pages from reaching a generated type, a checkpoint or a model.
 */
import type { Report } from '../coordinator/report/report-type.js';

export type AuditState = 'running' | 'succeeded' | 'failed' | 'cancelled' | 'interrupted';

export interface AuditSummary {
  readonly id: string;
  /** A name for people; may be empty. */
  readonly title: string;
  readonly state: AuditState;
  /** The stage that runs or ran last; empty before the first. */
  readonly stage: string;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly evaluations: number;
  /** Of these, how many needed no work of the model. */
  readonly evaluationsReused: number;
  /** On `failed`: the coded text. */
  readonly error: string;
}

interface EventBase {
  /** 1, 2, 3, ... without gaps. */
  readonly sequence: number;
  /** ISO 8601, UTC. */
  readonly time: string;
}

/** A fact about an audit; never holds a prompt's or an answer's text. */
export type AuditEvent = EventBase &
  (
    | { readonly kind: 'stage-started'; readonly stage: string; readonly number: number; readonly stages: number }
    | {
        readonly kind: 'progress';
        readonly stage: string;
        readonly done: number;
        /** 0 when it is not known yet. */
        readonly total: number;
        readonly evaluations: number;
        readonly evaluationsReused: number;
        readonly detail: string;
      }
    | {
        readonly kind: 'stage-finished';
        readonly stage: string;
        readonly seconds: number;
        readonly evaluations: number;
        readonly summary: string;
      }
    | {
        readonly kind: 'prompt-filtered';
        readonly promptId: string;
        readonly outcome: string;
        readonly setSize: number;
        readonly evaluations: number;
      }
    | { readonly kind: 'ended'; readonly state: AuditState; readonly error: string }
    | { readonly kind: 'warning'; readonly code: string; readonly text: string }
  );

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
