/**
 * Who makes a call and what they may do. Follows the work of a call asynchronously, so that calls that a service makes in turn can say on
 * whose behalf.
 */
import { AsyncLocalStorage } from 'node:async_hooks';

export const SCOPES = ['read', 'audit', 'intervene', 'completions'] as const;
export type Scope = (typeof SCOPES)[number];

export interface Principal {
  /** The token's subject, "service:search", or "local". At most 256 characters. */
  readonly subject: string;
  /** token: a bearer token; service: a client certificate of the mesh; local: nobody was asked, as only this machine can call. */
  readonly kind: 'token' | 'service' | 'local';
  readonly scopes: ReadonlySet<Scope>;
  /** For a service: the person whose request it works on, as far as it says. */
  readonly onBehalfOf?: string;
}

export const LOCAL_PRINCIPAL: Principal = { subject: 'local', kind: 'local', scopes: new Set(SCOPES) };

export const isScope = (text: string): text is Scope => (SCOPES as readonly string[]).includes(text);

/** Whether the first words of prompts and answers may be shown. No principal: no authorization stands before this handler. */
export const mayReadCompletions = (principal: Principal | undefined): boolean =>
  principal === undefined || principal.scopes.has('completions');

const current = new AsyncLocalStorage<Principal>();

export const runAs = <Result>(principal: Principal, work: () => Result): Result => current.run(principal, work);

/** The principal whose call this work belongs to, if any. */
export const currentPrincipal = (): Principal | undefined => current.getStore();
