/** What a span and a metric of a call say: the method, its status, and the counts of the request. Never its text. */
import type { Facts } from './telemetry.js';

/** Probes and reflection come every few seconds and say nothing about the work. */
const QUIET_PREFIXES = ['/grpc.health.', '/grpc.reflection.'];

export const isQuietPath = (path: string): boolean => QUIET_PREFIXES.some((prefix) => path.startsWith(prefix));

/** "/refusalscope.v1.SaeService/Encode" without the slash in front. */
export const methodOf = (path: string): string => path.slice(1);

// The server's own failures; all others are the caller's (OpenTelemetry, RPC conventions).
const SERVER_ERRORS: ReadonlySet<string> = new Set([
  'UNKNOWN',
  'DEADLINE_EXCEEDED',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
]);

export const isServerError = (status: string): boolean => SERVER_ERRORS.has(status);
/** A caller that has what it wants lets go of the rest of a stream: that is no failure. */
export const isClientError = (status: string): boolean => status !== 'OK' && status !== 'CANCELLED';

/** Labels of the call's metrics; `isError` decides whether the status counts as an error. */
export const callLabels = (path: string, status: string, isError: (status: string) => boolean) => ({
  'rpc.system.name': 'grpc',
  'rpc.method': methodOf(path),
  'rpc.status_code': status,
  ...(isError(status) && { 'error.type': status }),
});

/** Lists of a request whose lengths tell how much work it is. */
const COUNTED: Readonly<Record<string, string>> = {
  prompts: 'refusal.prompt.count',
  evaluations: 'refusal.evaluation.count',
  masks: 'refusal.mask.count',
  features: 'refusal.feature.count',
  candidates: 'refusal.candidate.count',
  layers: 'refusal.layer.count',
  cases: 'refusal.case.count',
  known: 'refusal.known.count',
};

/** Counts alone: every other field of a request may hold what a person wrote. */
export const requestFacts = (request: unknown): Facts => {
  if (typeof request !== 'object' || request === null) return {};
  const facts: Record<string, number> = {};
  for (const [field, name] of Object.entries(COUNTED)) {
    const value: unknown = Reflect.get(request, field);
    if (Array.isArray(value)) facts[name] = value.length;
  }
  return facts;
};
