/**
 * The server middleware that writes the audit log: a line before a call that edits or controls, and one with its outcome after it. If the
 * first cannot be written, the call is refused.
 */
import type { ServerMiddleware } from 'nice-grpc';
import { fault, isFault } from '../errors/fault.js';
import type { Logger } from '../log/create-logger.js';
import type { RequestContext } from '../rpc/request-log.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { AuditFacts, AuditLog } from './audit-log.js';
import { describeEdit } from './describe-edit.js';

export interface AuditCallsOptions {
  readonly log: AuditLog;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

export const createAuditCalls = (options: AuditCallsOptions): ServerMiddleware<object, RequestContext> =>
  async function* auditCalls(call, context) {
    const { path } = call.method;
    const edit = describeEdit(path, call.request);
    if (edit === undefined) return yield* call.next(call.request, context);
    const { requestId, principal } = context;
    const startedAt = performance.now();
    await begin(options, {
      event: 'began',
      requestId,
      subject: principal?.subject ?? 'local',
      ...(principal?.onBehalfOf !== undefined && { onBehalfOf: principal.onBehalfOf }),
      method: path.slice(1),
      ...edit,
    });
    let outcome = 'CANCELLED';
    const seen: { engineBankDigest?: string } = {};
    try {
      const steps = call.next(call.request, context) as AsyncGenerator<never, never, undefined>;
      const result = yield* noting(steps, seen);
      outcome = 'OK';
      return result;
    } catch (thrown) {
      outcome = context.signal.aborted ? 'CANCELLED' : isFault(thrown) ? thrown.code : 'INTERNAL';
      throw thrown;
    } finally {
      const ms = Math.round(performance.now() - startedAt);
      await end(options, { event: 'ended', requestId, outcome, ms, ...seen });
    }
  };

/** Keeps the digest under which inference cached the bank: later calls name the bank by it. */
async function* noting<Response, Result>(
  steps: AsyncGenerator<Response, Result, undefined>,
  seen: { engineBankDigest?: string },
): AsyncGenerator<Response, Result, undefined> {
  try {
    for (;;) {
      const step = await steps.next();
      if (step.done === true) return step.value;
      const digest: unknown = Reflect.get(step.value as object, 'bankDigest');
      if (typeof digest === 'string' && digest !== '') seen.engineBankDigest = digest;
      yield step.value;
    }
  } finally {
    await steps.return(undefined as Result);
  }
}

const begin = async ({ log, logger, metrics }: AuditCallsOptions, facts: AuditFacts): Promise<void> => {
  try {
    await log.append(facts);
  } catch (cause) {
    metrics.add('refusal.audit_log.failures', 1);
    logger.error({ err: cause }, 'the audit log cannot be written; calls that edit are refused');
    throw fault('STARTING', 'The audit log cannot be written, so nothing is edited. Try again later.', { cause });
  }
};

/** What ran has run: a missing last line is told in the log and counted. */
const end = async ({ log, logger, metrics }: AuditCallsOptions, facts: AuditFacts): Promise<void> => {
  try {
    await log.append(facts);
  } catch (cause) {
    metrics.add('refusal.audit_log.failures', 1);
    logger.error({ err: cause, requestId: facts.requestId }, 'the outcome could not be written to the audit log');
  }
};
