/**
 * The server middleware that decides whether a call may run: who is it, which scopes does the method need, and what of the answer may be
 * shown. Deny by default: no proof of identity, no row in the table or no scope means no call.
 */
import type { CallContext, ServerMiddleware } from 'nice-grpc';
import { type Fault, fault, isFault } from '../errors/fault.js';
import type { Logger } from '../log/create-logger.js';
import type { RequestContext } from '../rpc/request-log.js';
import { stepsWithin } from '../rpc/steps-within.js';
import type { Metrics } from '../telemetry/metrics.js';
import { LOCAL_PRINCIPAL, type Principal, runAs, type Scope } from './principal.js';
import { redactResponse } from './redact-response.js';
import { scopesFor } from './scope-table.js';
import type { TokenVerifier } from './token-verifier.js';

export interface AuthorizationOptions {
  /** Absent: tokens are not taken. */
  readonly verifier?: TokenVerifier | undefined;
  /** Metadata name of the caller's certificate (ServerTls.peerKey); absent: certificates are no proof here. */
  readonly peerKey?: string | undefined;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** Metadata in which a service says whose request it works on. */
export const ON_BEHALF_OF_KEY = 'refusalscope-on-behalf-of';
const ON_BEHALF_OF_PATTERN = /^[\w.:@|/+-]{1,256}$/;

/** What each service does in its calls to others; a certificate for any other name proves who it is and allows nothing. */
const SERVICE_SCOPES: Readonly<Record<string, readonly Scope[]>> = {
  coordinator: ['read', 'audit', 'intervene', 'completions'],
  search: ['read', 'intervene', 'completions'],
};

/** Without a verifier and a peer key everyone is `local`: only for servers that nobody else can reach. */
export const createAuthorization = (options: AuthorizationOptions): ServerMiddleware<object, RequestContext> =>
  async function* authorization(call, context) {
    const { path } = call.method;
    let principal: Principal;
    try {
      principal = await identify(options, context);
      assertScopes(principal, path, call.request);
    } catch (thrown) {
      throw report(thrown, options, path, context.requestId);
    }
    const steps = stepsWithin(
      (step) => runAs(principal, step),
      call.next(call.request, Object.assign(context, { principal })) as AsyncGenerator<never, never, undefined>,
    );
    if (principal.scopes.has('completions')) return yield* steps;
    return yield* redacted(path, steps);
  };

const identify = async ({ verifier, peerKey }: AuthorizationOptions, { metadata }: CallContext): Promise<Principal> => {
  const asker = metadata.get(ON_BEHALF_OF_KEY);
  if (verifier === undefined && peerKey === undefined) return { ...LOCAL_PRINCIPAL, ...onBehalfOf(asker) };
  const authorization = metadata.get('authorization');
  if (authorization !== undefined) {
    const token = /^Bearer ([\w.~+/=-]+)$/i.exec(authorization)?.[1];
    if (token === undefined) throw fault('UNAUTHENTICATED', 'The metadata "authorization" must be "Bearer <token>".');
    if (verifier === undefined)
      throw fault('UNAUTHENTICATED', 'Tokens are not taken here: bring a client certificate.');
    return verifier.verify(token);
  }
  const service = peerKey === undefined ? undefined : metadata.get(peerKey);
  if (service === undefined) {
    throw fault('UNAUTHENTICATED', 'The call says nothing of who makes it: send a bearer token in "authorization".');
  }
  return servicePrincipal(String(service), asker);
};

const onBehalfOf = (asker: string | undefined): Pick<Principal, 'onBehalfOf'> =>
  asker !== undefined && ON_BEHALF_OF_PATTERN.test(asker) ? { onBehalfOf: asker } : {};

const servicePrincipal = (service: string, asker: string | undefined): Principal => ({
  subject: `service:${service}`,
  kind: 'service',
  scopes: new Set(SERVICE_SCOPES[service] ?? []),
  ...onBehalfOf(asker),
});

const assertScopes = (principal: Principal, path: string, request: unknown): void => {
  const needs = scopesFor(path, request);
  if (needs === undefined)
    throw fault('FORBIDDEN', `${path} has no row in the table of scopes, so nobody may call it.`);
  const missing = needs.filter((scope) => !principal.scopes.has(scope));
  if (missing.length === 0) return;
  const has = [...principal.scopes].join(', ') || 'no scope';
  throw fault('FORBIDDEN', `${path} needs the scope ${missing.join(' and ')} here; the caller has ${has}.`, {
    details: { missing: missing.join(' ') },
  });
};

const report = (thrown: unknown, { logger, metrics }: AuthorizationOptions, method: string, requestId: string) => {
  const denied = isFault(thrown, 'FORBIDDEN') || isFault(thrown, 'UNAUTHENTICATED');
  if (denied) {
    const { code, message } = thrown as Fault;
    metrics.add('refusal.auth.denials', 1, { reason: code.toLowerCase() });
    logger.warn({ method, requestId, code, reason: message }, 'call refused');
    return thrown;
  }
  logger.error({ err: thrown, method, requestId }, 'callers cannot be identified');
  return fault('PEER_UNAVAILABLE', 'The keys for tokens cannot be read at this moment. Try again later.', {
    cause: thrown,
  });
};

async function* redacted<Response, Result>(
  path: string,
  steps: AsyncGenerator<Response, Result, undefined>,
): AsyncGenerator<Response, Result, undefined> {
  try {
    for (;;) {
      const step = await steps.next();
      // A unary method returns its response; a stream returns nothing.
      if (step.done === true) return step.value === undefined ? step.value : redactResponse(path, step.value);
      yield redactResponse(path, step.value);
    }
  } finally {
    // The reader went away in the middle; over already, this does nothing.
    await steps.return(undefined as Result);
  }
}
