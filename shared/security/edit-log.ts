/**
 * Edits in the audit log, whichever way they come in (a call, the queue): a line before the edit runs, and one with its outcome after it.
 * If the first cannot be written, the edit does not run.
 */
import { fault } from '../errors/fault.js';
import type { Logger } from '../log/create-logger.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { AuditFacts, AuditLog } from './audit-log.js';
import { describeEdit } from './describe-edit.js';

/** Who asks, and under which id the log of the process knows it. */
export interface EditSource {
  readonly requestId: string;
  readonly subject: string;
  readonly onBehalfOf?: string | undefined;
}

export interface BegunEdit {
  /** `outcome`: "OK", or a code of docs/errors.md. `engineBankDigest`: the name that inference gave the bank. */
  end(outcome: string, engineBankDigest?: string): Promise<void>;
}

export interface EditLog {
  /** Undefined for a request that edits nothing. Throws STARTING if the line cannot be written. */
  begin(path: string, request: unknown, source: EditSource): Promise<BegunEdit | undefined>;
}

export interface EditLogOptions {
  readonly log: AuditLog;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

export const createEditLog = ({ log, logger, metrics }: EditLogOptions): EditLog => {
  const failed = (cause: unknown, text: string): void => {
    metrics.add('refusal.audit_log.failures', 1);
    logger.error({ err: cause }, text);
  };
  const end = async (facts: AuditFacts): Promise<void> => {
    try {
      await log.append({ event: 'ended', ...facts });
    } catch (cause) {
      // What ran has run.
      failed(cause, 'the outcome of an edit could not be written to the audit log');
    }
  };
  return {
    begin: async (path, request, { requestId, subject, onBehalfOf }) => {
      const edit = describeEdit(path, request);
      if (edit === undefined) return undefined;
      const startedAt = performance.now();
      const who = { requestId, subject, ...(onBehalfOf !== undefined && { onBehalfOf }) };
      try {
        await log.append({ event: 'began', ...who, method: path.slice(1), ...edit });
      } catch (cause) {
        failed(cause, 'the audit log cannot be written; edits are refused');
        throw fault('STARTING', 'The audit log cannot be written, so nothing is edited. Try again later.', { cause });
      }
      return {
        end: (outcome, engineBankDigest) =>
          end({
            requestId,
            outcome,
            ms: Math.round(performance.now() - startedAt),
            ...(engineBankDigest !== undefined && { engineBankDigest }),
          }),
      };
    },
  };
};
