/**
 * The trace context (W3C traceparent, tracestate) in and out of anything with string headers: gRPC metadata, NATS headers. Where a
 * batch joins several requests, their spans link to each other.
 */
import { type Context, context, type Link, propagation, ROOT_CONTEXT, trace } from '@opentelemetry/api';

export type TraceContext = Context;

export const NO_TRACE: TraceContext = ROOT_CONTEXT;

/** Headers that can be written. MsgHdrs of NATS and Metadata of gRPC both fit. */
export interface WritableCarrier {
  set(key: string, value: string): unknown;
}

/** Headers that can be read; a name may have no value, or give the empty text for it. */
export interface ReadableCarrier {
  keys(): Iterable<string>;
  get(key: string): string | undefined;
}

/** Writes the active trace (or the given one) into the carrier; nothing when telemetry is off. */
export const injectTrace = (carrier: WritableCarrier, from: TraceContext = context.active()): void =>
  propagation.inject(from, carrier, { set: (target, key, value) => void target.set(key, value) });

/** The trace context that the carrier holds; an empty one if it holds none or a malformed one. */
export const extractTrace = (carrier: ReadableCarrier): TraceContext =>
  propagation.extract(ROOT_CONTEXT, carrier, {
    keys: (source) => [...source.keys()],
    get: (source, key) => source.get(key) || undefined,
  });

/** The same from a plain object, such as the headers of a stored message. */
export const extractTraceFrom = (headers: Readonly<Record<string, string>>): TraceContext =>
  extractTrace({ keys: () => Object.keys(headers), get: (key) => headers[key] });

/** A link to the span of the context; undefined if it has none. */
export const linkOf = (to: TraceContext): Link | undefined => {
  const spanContext = trace.getSpanContext(to);
  return spanContext && { context: spanContext };
};

/** Runs `work` with the given trace as the active one. */
export const withTrace = <Result>(within: TraceContext, work: () => Result): Result => context.with(within, work);
