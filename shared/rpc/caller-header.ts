/**
 * Which audit a call is made for, as a header: work that many callers share can then take turns among audits. It says nothing about
 * rights, and whoever reads it must expect anything.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { Metadata, type ServerMiddleware } from 'nice-grpc';
import { stepsWithin } from './steps-within.js';

const HEADER = 'refusalscope-audit';
const NAME = /^[A-Za-z0-9_-]{1,100}$/;

const current = new AsyncLocalStorage<string | undefined>();

export const withAudit = (auditId: string): Metadata => new Metadata().set(HEADER, auditId);

/** Undefined: the call names no audit, or not as one is named. */
export const auditOf = (metadata: Metadata): string | undefined => {
  const value = metadata.get(HEADER);
  return typeof value === 'string' && NAME.test(value) ? value : undefined;
};

/** The audit of the call that is being answered. */
export const currentAudit = (): string | undefined => current.getStore();

export const auditScope: ServerMiddleware = async function* auditScope(call, context) {
  const audit = auditOf(context.metadata);
  const steps = call.next(call.request, context) as AsyncGenerator<never, never, undefined>;
  return yield* stepsWithin((step) => current.run(audit, step), steps);
};
