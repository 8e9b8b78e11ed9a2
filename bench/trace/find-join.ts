/** The closer look of the picture: two requests whose items met in one batch of the engine, span by span. */
import type { SeenSpan } from '../../test/integration/telemetry/otlp-collector.js';
import type { Label } from './draw-label.js';
import type { Interval, NameProcess } from './fold-spans.js';
import { endOf, KIND, labelOf } from './span-words.js';

export interface JoinRow extends Interval, Omit<Label, 'count' | 'hidden'> {}

export interface Join {
  /** One list a request: the call that asked, the request, its item, the engine's job. */
  readonly sides: readonly (readonly JoinRow[])[];
  readonly window: Interval;
}

/** Shorter ones would show little but gaps between clocks. */
const SHORTEST_MS = 8;

interface Side {
  readonly call: SeenSpan;
  readonly request: SeenSpan;
  readonly item: SeenSpan;
  readonly engine: SeenSpan;
}

/** The shortest one that is long enough to see; undefined where no batches of two requests joined. */
export const findJoin = (spans: readonly SeenSpan[], zeroMs: number, nameOf: NameProcess): Join | undefined => {
  const byId = new Map(spans.map((span) => [span.spanId, span]));
  const pairs = spans.flatMap((engine) => {
    const one = sideOf(engine, byId);
    return engine.links.flatMap(({ spanId }) => {
      const other = sideOf(byId.get(spanId), byId);
      return one === undefined || other === undefined || one.request === other.request ? [] : [[one, other] as const];
    });
  });
  const lengthOf = (pair: readonly Side[]): number => windowOf(pair).endMs - windowOf(pair).startMs;
  const byLength = pairs.sort((a, b) => lengthOf(a) - lengthOf(b));
  const chosen = byLength.find((pair) => lengthOf(pair) >= SHORTEST_MS) ?? byLength[0];
  if (chosen === undefined) return undefined;
  const sides = [...chosen].sort((a, b) => a.request.startMs - b.request.startMs);
  const { startMs, endMs } = windowOf(sides);
  const window = { startMs: startMs - zeroMs, endMs: endMs - zeroMs };
  return { sides: sides.map((side) => rowsOf(side, zeroMs, nameOf)), window };
};

const sideOf = (engine: SeenSpan | undefined, byId: ReadonlyMap<string, SeenSpan>): Side | undefined => {
  const item = engine && byId.get(engine.parentSpanId);
  const request = item && byId.get(item.parentSpanId);
  const call = request && byId.get(request.parentSpanId);
  const fits = call?.kind === KIND.server && request?.kind === KIND.producer && item?.kind === KIND.consumer;
  return fits ? { call, request, item, engine: engine! } : undefined;
};

/** A little more than the two requests. */
const windowOf = (sides: readonly Side[]): Interval => {
  const startMs = Math.min(...sides.map(({ request }) => request.startMs));
  const endMs = Math.max(...sides.map(({ request }) => request.endMs));
  const margin = (endMs - startMs) * 0.03;
  return { startMs: startMs - margin, endMs: endMs + margin };
};

const rowsOf = ({ call, request, item, engine }: Side, zeroMs: number, nameOf: NameProcess): JoinRow[] =>
  [call, request, item, engine].map((span, depth) => ({
    service: nameOf(span),
    label: labelOf(span),
    depth,
    end: endOf(span),
    startMs: span.startMs - zeroMs,
    endMs: span.endMs - zeroMs,
  }));
