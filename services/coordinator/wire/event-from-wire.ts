/** The public API's events as facts again: how they come back from the bus, on which they travel as the contract's messages. */
import { AuditState, type AuditEvent as WireEvent } from '../../../proto/gen/refusalscope/v1/coordinator.js';
import { MinimalSet_Outcome } from '../../../proto/gen/refusalscope/v1/search.js';
import { fault } from '../../../shared/errors/fault.js';
import type { AuditEvent, AuditFact } from '../audit/audit-event.js';
import type { AuditStateName } from '../audit/audit-record.js';

const STATES: Partial<Record<AuditState, AuditStateName>> = {
  [AuditState.AUDIT_STATE_RUNNING]: 'running',
  [AuditState.AUDIT_STATE_SUCCEEDED]: 'succeeded',
  [AuditState.AUDIT_STATE_FAILED]: 'failed',
  [AuditState.AUDIT_STATE_CANCELLED]: 'cancelled',
  [AuditState.AUDIT_STATE_INTERRUPTED]: 'interrupted',
};

const OUTCOMES = {
  [MinimalSet_Outcome.OUTCOME_FOUND]: 'found',
  [MinimalSet_Outcome.OUTCOME_NO_FLIP]: 'no flip',
  [MinimalSet_Outcome.OUTCOME_NOT_REFUSED]: 'not refused',
} as const;

/** Throws CHECKPOINT_CORRUPT for an event that this release does not know. */
export const decodeEvent = ({ auditId, sequence, time, event }: WireEvent): AuditEvent => {
  const fact = event === undefined ? undefined : decodeFact(event);
  if (fact === undefined || time === undefined) {
    throw fault(
      'CHECKPOINT_CORRUPT',
      `Event ${sequence} of audit ${auditId} is of a kind that this release cannot read.`,
    );
  }
  return { ...fact, sequence, time: time.toISOString() };
};

const decodeFact = (event: NonNullable<WireEvent['event']>): AuditFact | undefined => {
  switch (event.$case) {
    case 'stageStarted':
      return { kind: 'stage-started', ...event.value };
    case 'progress':
      return { kind: 'progress', ...event.value };
    case 'stageFinished':
      return { kind: 'stage-finished', ...event.value };
    case 'promptFiltered': {
      const outcome = (OUTCOMES as Partial<Record<MinimalSet_Outcome, (typeof OUTCOMES)[keyof typeof OUTCOMES]>>)[
        event.value.outcome
      ];
      return outcome && { kind: 'prompt-filtered', ...event.value, outcome };
    }
    case 'auditEnded': {
      const state = STATES[event.value.state];
      return state && { kind: 'ended', state, error: event.value.error };
    }
    case 'warning':
      return { kind: 'warning', ...event.value };
    default:
      return undefined;
  }
};
