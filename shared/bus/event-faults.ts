/** What both engines say when an event is not the next one of its audit. */
import { type Fault, fault } from '../errors/fault.js';

export const wrongSequence = (auditId: string, sequence: number, last: number): Fault =>
  fault(
    'REVISION_CONFLICT',
    `Event ${sequence} of audit ${auditId} was refused: the last one stored is ${last}. Another process writes this audit.`,
  );
