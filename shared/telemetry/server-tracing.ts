/**
 * The outermost server middleware: one span a call, in the caller's trace, and its duration as a metric. The span is active in every
 * step of the handler, so that calls it makes and lines it logs belong to it.
 */
import { context, type Span, SpanKind, SpanStatusCode, type Tracer, trace } from '@opentelemetry/api';
import { type CallContext, ServerError, type ServerMiddleware, Status } from 'nice-grpc';
import { statusText } from '../rpc/status-names.js';
import { stepsWithin } from '../rpc/steps-within.js';
import type { Metrics } from './metrics.js';
import { callLabels, isQuietPath, isServerError, methodOf, requestFacts } from './rpc-facts.js';
import { extractTraceFrom } from './trace-carrier.js';

export const createServerTracing = (tracer: Tracer, metrics: Metrics): ServerMiddleware =>
  async function* serverTracing(call, callContext) {
    const { path } = call.method;
    if (isQuietPath(path)) return yield* call.next(call.request, callContext);
    const parent = extractTraceFrom(traceHeadersOf(callContext));
    const span = tracer.startSpan(methodOf(path), { kind: SpanKind.SERVER, attributes: factsOf(call) }, parent);
    const within = trace.setSpan(parent, span);
    const startedAt = performance.now();
    // Neither returned nor thrown: the caller went away.
    let status = statusText(Status.CANCELLED);
    try {
      const steps = call.next(call.request, callContext) as AsyncGenerator<never, never, undefined>;
      const result = yield* stepsWithin((step) => context.with(within, step), steps);
      status = statusText(Status.OK);
      return result;
    } catch (thrown) {
      status = statusText(thrown instanceof ServerError ? thrown.code : Status.UNKNOWN);
      throw thrown;
    } finally {
      endCall(span, path, status);
      const seconds = (performance.now() - startedAt) / 1000;
      metrics.record('rpc.server.call.duration', seconds, callLabels(path, status, isServerError));
    }
  };

const TRACE_HEADERS = ['traceparent', 'tracestate'];

const traceHeadersOf = ({ metadata }: CallContext): Record<string, string> =>
  Object.fromEntries(
    TRACE_HEADERS.flatMap((name) => {
      const value = metadata.get(name);
      return typeof value === 'string' ? [[name, value]] : [];
    }),
  );

const factsOf = (call: { readonly method: { readonly path: string }; readonly request: unknown }) => ({
  'rpc.system.name': 'grpc',
  'rpc.method': methodOf(call.method.path),
  ...requestFacts(call.request),
});

const endCall = (span: Span, path: string, status: string): void => {
  const labels = callLabels(path, status, isServerError);
  span.setAttributes(labels);
  if ('error.type' in labels) span.setStatus({ code: SpanStatusCode.ERROR });
  span.end();
};
