/** The spans of one trace as a tree. Prevents: a picture of a trace that is torn. */
import type { SeenSpan } from '../../test/integration/telemetry/otlp-collector.js';

export interface SpanNode {
  readonly span: SeenSpan;
  /** By start. */
  readonly children: readonly SpanNode[];
}

/** @throws unless all spans are of one trace, under one root */
export const nestSpans = (spans: readonly SeenSpan[]): SpanNode => {
  const traces = new Set(spans.map(({ traceId }) => traceId));
  if (traces.size !== 1) throw new Error(`the spans are of ${traces.size} traces`);
  const ids = new Set(spans.map(({ spanId }) => spanId));
  const orphans = spans.filter(({ parentSpanId }) => parentSpanId !== '' && !ids.has(parentSpanId));
  if (orphans.length > 0) {
    const names = orphans.slice(0, 3).map(({ service, name }) => `${service}: ${name}`);
    throw new Error(`${orphans.length} spans have a parent that was never sent, such as ${names.join(', ')}`);
  }
  const byParent = new Map<string, SeenSpan[]>();
  for (const span of spans) byParent.set(span.parentSpanId, [...(byParent.get(span.parentSpanId) ?? []), span]);
  const roots = byParent.get('') ?? [];
  if (roots.length !== 1) throw new Error(`the trace has ${roots.length} roots`);
  const nest = (span: SeenSpan): SpanNode => {
    const children = (byParent.get(span.spanId) ?? []).sort((a, b) => a.startMs - b.startMs);
    return { span, children: children.map(nest) };
  };
  return nest(roots[0]!);
};
