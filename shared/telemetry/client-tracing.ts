/** A client middleware: one span a try of a call, whose trace travels in the metadata, and its duration as a metric. */
import { context, SpanKind, SpanStatusCode, type Tracer, trace } from '@opentelemetry/api';
import { type ClientMiddleware, Metadata } from 'nice-grpc';
import { FAULTS, isFault } from '../errors/fault.js';
import type { Metrics } from './metrics.js';
import { callLabels, isClientError, isQuietPath, methodOf, requestFacts } from './rpc-facts.js';
import { injectTrace } from './trace-carrier.js';

export const createClientTracing = (tracer: Tracer, metrics: Metrics, address: string): ClientMiddleware =>
  async function* clientTracing(call, options) {
    const { path } = call.method;
    if (isQuietPath(path)) return yield* call.next(call.request, options);
    const attributes = {
      'rpc.system.name': 'grpc',
      'rpc.method': methodOf(path),
      ...serverFacts(address),
      ...requestFacts(call.request),
    };
    const span = tracer.startSpan(methodOf(path), { kind: SpanKind.CLIENT, attributes });
    const metadata = Metadata(options.metadata);
    injectTrace({ set: (key, value) => metadata.set(key, value) }, trace.setSpan(context.active(), span));
    const startedAt = performance.now();
    // Neither returned nor thrown: our own code stopped reading.
    let status = 'CANCELLED';
    try {
      const result = yield* call.next(call.request, { ...options, metadata });
      status = 'OK';
      return result;
    } catch (thrown) {
      status = isFault(thrown) ? FAULTS[thrown.code].status : 'UNKNOWN';
      throw thrown;
    } finally {
      const labels = callLabels(path, status, isClientError);
      span.setAttributes(labels);
      if ('error.type' in labels) span.setStatus({ code: SpanStatusCode.ERROR });
      span.end();
      metrics.record('rpc.client.call.duration', (performance.now() - startedAt) / 1000, labels);
    }
  };

const serverFacts = (address: string) => {
  const colon = address.lastIndexOf(':');
  return { 'server.address': address.slice(0, colon), 'server.port': Number(address.slice(colon + 1)) };
};
