/**
 * The trace context (W3C traceparent, tracestate) in and out of anything with string headers: gRPC metadata, NATS headers. Where a
 * batch joins several requests, the batch's span links to them and is the child of none.
 */
import { type Context, context, type Link, propagation, ROOT_CONTEXT, trace } from '@opentelemetry/api';

export type TraceContext = Context;

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

/** Links to the spans that asked for a batch, one a context that has a span. */
export const linksOf = (asked: readonly TraceContext[]): Link[] =>
  asked.flatMap((one) => {
    const spanContext = trace.getSpanContext(one);
    return spanContext === undefined ? [] : [{ context: spanContext }];
  });

/** Runs `work` with the given trace as the active one. */
export const withTrace = <Result>(within: TraceContext, work: () => Result): Result => context.with(within, work);
