/** The ids that join a line of the log to its trace; nothing outside a span. */
import { isSpanContextValid, trace } from '@opentelemetry/api';

export const traceFields = (): { trace_id?: string; span_id?: string } => {
  const spanContext = trace.getActiveSpan()?.spanContext();
  if (spanContext === undefined || !isSpanContextValid(spanContext)) return {};
  return { trace_id: spanContext.traceId, span_id: spanContext.spanId };
};
