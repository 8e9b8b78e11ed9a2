/** What a span says of itself, in the words of the picture. */
import type { SeenSpan } from '../../test/integration/telemetry/otlp-collector.js';

/** Of OTLP's Span.SpanKind. */
export const KIND = { server: 2, client: 3, producer: 4, consumer: 5 } as const;

/** An end of the work queue. */
export type QueueEnd = 'producer' | 'consumer' | undefined;

export const endOf = ({ kind }: SeenSpan): QueueEnd =>
  kind === KIND.producer ? 'producer' : kind === KIND.consumer ? 'consumer' : undefined;

/** "refusalscope.v1.SaeService/Encode" without its package. */
export const labelOf = ({ name }: SeenSpan): string => name.replace(/^[a-z0-9.]+\.(?=[A-Z][A-Za-z]+\/)/, '');
