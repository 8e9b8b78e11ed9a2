/** Facts about an audit, in the order in which they happened. Never holds a prompt's or an answer's text. */
import type { AuditStateName } from './audit-record.js';

export type AuditFact =
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
      readonly outcome: 'found' | 'no flip' | 'not refused';
      readonly setSize: number;
      readonly evaluations: number;
    }
  | { readonly kind: 'ended'; readonly state: AuditStateName; readonly error: string }
  | { readonly kind: 'warning'; readonly code: string; readonly text: string };

export type AuditEvent = AuditFact & {
  /** 1, 2, 3, ... without gaps. */
  readonly sequence: number;
  /** ISO 8601, UTC. */
  readonly time: string;
};
