/** Records and events of audits as the public API's messages. */
import {
  AuditState,
  type Audit as WireAudit,
  type AuditEvent as WireEvent,
} from '../../../proto/gen/refusalscope/v1/coordinator.js';
import { MinimalSet_Outcome } from '../../../proto/gen/refusalscope/v1/search.js';
import type { AuditEvent } from '../audit/audit-event.js';
import type { AuditRecord, AuditStateName } from '../audit/audit-record.js';

const STATES: Record<AuditStateName, AuditState> = {
  running: AuditState.AUDIT_STATE_RUNNING,
  succeeded: AuditState.AUDIT_STATE_SUCCEEDED,
  failed: AuditState.AUDIT_STATE_FAILED,
  cancelled: AuditState.AUDIT_STATE_CANCELLED,
  interrupted: AuditState.AUDIT_STATE_INTERRUPTED,
};

export const encodeAudit = (record: AuditRecord): WireAudit => ({
  id: record.id,
  state: STATES[record.state],
  title: record.title,
  createdAt: new Date(record.createdAt),
  updatedAt: new Date(record.updatedAt),
  stage: record.stage,
  specSha256: record.specSha256,
  error: record.error,
  evaluations: record.evaluations,
  evaluationsReused: record.evaluationsReused,
});

const OUTCOMES = {
  found: MinimalSet_Outcome.OUTCOME_FOUND,
  'no flip': MinimalSet_Outcome.OUTCOME_NO_FLIP,
  'not refused': MinimalSet_Outcome.OUTCOME_NOT_REFUSED,
} as const;

export const encodeEvent = (auditId: string, event: AuditEvent): WireEvent => ({
  auditId,
  sequence: event.sequence,
  time: new Date(event.time),
  event: encodeFact(event),
});

const encodeFact = (event: AuditEvent): WireEvent['event'] => {
  switch (event.kind) {
    case 'stage-started': {
      const { stage, number, stages } = event;
      return { $case: 'stageStarted', value: { stage, number, stages } };
    }
    case 'progress': {
      const { stage, done, total, evaluations, evaluationsReused, detail } = event;
      return { $case: 'progress', value: { stage, done, total, evaluations, evaluationsReused, detail } };
    }
    case 'stage-finished': {
      const { stage, seconds, evaluations, summary } = event;
      return { $case: 'stageFinished', value: { stage, seconds, evaluations, summary } };
    }
    case 'prompt-filtered': {
      const { promptId, setSize, evaluations } = event;
      return { $case: 'promptFiltered', value: { promptId, outcome: OUTCOMES[event.outcome], setSize, evaluations } };
    }
    case 'ended':
      return { $case: 'auditEnded', value: { state: STATES[event.state], error: event.error } };
    case 'warning':
      return { $case: 'warning', value: { code: event.code, text: event.text } };
  }
};
