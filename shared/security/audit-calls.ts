/** The server middleware that writes calls which edit or control into the audit log. */
import type { ServerMiddleware } from 'nice-grpc';
import { isFault } from '../errors/fault.js';
import type { RequestContext } from '../rpc/request-log.js';
import type { EditLog } from './edit-log.js';

export const createAuditCalls = (edits: EditLog): ServerMiddleware<object, RequestContext> =>
  async function* auditCalls(call, context) {
    const { requestId, principal } = context;
    const source = { requestId, subject: principal?.subject ?? 'local', onBehalfOf: principal?.onBehalfOf };
    const begun = await edits.begin(call.method.path, call.request, source);
    if (begun === undefined) return yield* call.next(call.request, context);
    // Neither returned nor thrown: the caller went away.
    let outcome = 'CANCELLED';
    const seen: SeenBank = {};
    try {
      const result = yield* noting(call.next(call.request, context) as AsyncGenerator<never, never, undefined>, seen);
      outcome = 'OK';
      return result;
    } catch (thrown) {
      if (!context.signal.aborted) outcome = isFault(thrown) ? thrown.code : 'INTERNAL';
      throw thrown;
    } finally {
      await begun.end(outcome, seen.digest);
    }
  };

interface SeenBank {
  digest?: string;
}

/** Keeps the digest under which inference cached the bank: later calls name the bank by it. */
async function* noting<Response, Result>(
  steps: AsyncGenerator<Response, Result, undefined>,
  seen: SeenBank,
): AsyncGenerator<Response, Result, undefined> {
  try {
    for (;;) {
      const step = await steps.next();
      if (step.done === true) return step.value;
      const digest: unknown = Reflect.get(step.value as object, 'bankDigest');
      if (typeof digest === 'string' && digest !== '') seen.digest = digest;
      yield step.value;
    }
  } finally {
    await steps.return(undefined as Result);
  }
}
