/** What the process says when it ends. docs/cli.md lists them, and a test compares the two. */
import { FAULTS, type FaultCode } from '../../shared/errors/fault.js';

export const EXIT_CODES = {
  OK: { code: 0, meaning: 'Done.' },
  INTERNAL: { code: 1, meaning: 'A defect in RefusalScope.' },
  USAGE: { code: 2, meaning: 'A flag, a file or a request is not valid. The text says what to change.' },
  NOT_FOUND: { code: 3, meaning: 'A file, audit, model, SAE or feature that was named does not exist.' },
  AUDIT_FAILED: {
    code: 4,
    meaning: 'The audit ended without a report (failed, cancelled, or impossible on this model).',
  },
  UNAVAILABLE: { code: 5, meaning: 'A service or the model files cannot be reached at this moment.' },
  CHECK_FAILED: {
    code: 6,
    meaning:
      'A check failed: `doctor` found something that keeps RefusalScope from running, `verify` or `audit-log verify` something that was changed, or `replay` a claim that does not hold.',
  },
  INTERRUPTED: { code: 130, meaning: 'Ctrl-C. The checkpoint is written; the last line is the command that goes on.' },
} as const;

export type ExitName = keyof typeof EXIT_CODES;

const BY_FAULT: Partial<Record<FaultCode, ExitName>> = {
  MODEL_UNAVAILABLE: 'UNAVAILABLE',
  AUDIT_IMPOSSIBLE: 'AUDIT_FAILED',
  CANCELLED: 'INTERRUPTED',
};

export const exitNameOf = (code: FaultCode): ExitName => {
  const named = BY_FAULT[code];
  if (named !== undefined) return named;
  switch (FAULTS[code].status) {
    case 'INVALID_ARGUMENT':
    case 'FAILED_PRECONDITION':
    case 'UNAUTHENTICATED':
    case 'PERMISSION_DENIED':
      return 'USAGE';
    case 'NOT_FOUND':
      return 'NOT_FOUND';
    case 'UNAVAILABLE':
    case 'RESOURCE_EXHAUSTED':
    case 'DEADLINE_EXCEEDED':
      return 'UNAVAILABLE';
    default:
      return 'INTERNAL';
  }
};
