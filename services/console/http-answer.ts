/**
 * Owns what every answer of the console carries: the security headers and the status of a fault. Prevents a page that may be
 * framed, cached by others, or made to load or send anything elsewhere.
 */
import type { ServerResponse } from 'node:http';
import { FAULTS, isFault, type StatusName } from '../../shared/errors/fault.js';

/** Nothing from elsewhere, no plug-ins, no frames, no forms. Styles and scripts come from this server alone. */
const CONSOLE_POLICY = [
  "default-src 'none'",
  "style-src 'self'",
  "script-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

export interface HttpAnswer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
  /** Default: CONSOLE_POLICY. */
  readonly policy?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export const securityHeaders = (policy = CONSOLE_POLICY): Record<string, string> => ({
  'Content-Security-Policy': policy,
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'X-Frame-Options': 'DENY',
  'Cache-Control': 'no-store',
});

/** Writes the answer; a HEAD request gets the headers alone. */
export function sendAnswer(response: ServerResponse, answer: HttpAnswer, headOnly: boolean): void {
  const body = Buffer.from(answer.body, 'utf8');
  response.writeHead(answer.status, {
    ...securityHeaders(answer.policy),
    ...answer.headers,
    'Content-Type': `${answer.type}; charset=utf-8`,
    'Content-Length': body.byteLength,
  });
  response.end(headOnly ? undefined : body);
}

const HTTP_STATUS: Readonly<Partial<Record<StatusName, number>>> = {
  INVALID_ARGUMENT: 400,
  UNAUTHENTICATED: 401,
  PERMISSION_DENIED: 403,
  NOT_FOUND: 404,
  FAILED_PRECONDITION: 409,
  RESOURCE_EXHAUSTED: 429,
  DATA_LOSS: 500,
  UNIMPLEMENTED: 501,
  UNAVAILABLE: 503,
  DEADLINE_EXCEEDED: 504,
};

export interface Failure {
  readonly status: number;
  readonly code: string;
  /** May be shown: a fault's own text, or a fixed one. */
  readonly text: string;
  /** The cause is for our log alone. */
  readonly defect: boolean;
}

/** A known fault gives its row; anything else the fixed text with the request's id. */
export function failureOf(thrown: unknown, requestId: string): Failure {
  const status = isFault(thrown) ? HTTP_STATUS[FAULTS[thrown.code].status] : undefined;
  if (isFault(thrown) && status) return { status, code: thrown.code, text: thrown.message, defect: false };
  const text = `The console could not answer. The log has the cause under the request id ${requestId}.`;
  return { status: 500, code: 'INTERNAL', text, defect: true };
}
