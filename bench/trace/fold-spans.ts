/**
 * The tree of spans as rows of a picture, in two steps: a call and its answer (client and server, item and engine) become one row with an
 * outer and an inner bar; then siblings that do the same become one row, and so do their children.
 */
import type { SeenSpan } from '../../test/integration/telemetry/otlp-collector.js';
import type { SpanNode } from './nest-spans.js';
import { endOf, KIND, labelOf, type QueueEnd } from './span-words.js';

export interface Interval {
  readonly startMs: number;
  readonly endMs: number;
}

export interface FoldedRow {
  /** Who works: of a call, whoever answers it. */
  readonly service: string;
  readonly label: string;
  /** An end of the work queue: over NATS, from the row of the producer to those of the consumers. */
  readonly end: QueueEnd;
  /** Calls or pieces of work that are folded into the row. */
  readonly count: number;
  /** Spans of the row, those of the rows under it not counted. */
  readonly spans: number;
  /** Begin and end as the caller sees them; times are from the root's start. */
  readonly outer: readonly Interval[];
  /** As the service sees them; empty where that is the same. */
  readonly inner: readonly Interval[];
  /** Starts of spans that are linked to others: their batches joined. */
  readonly linkedAtMs: readonly number[];
  readonly children: readonly FoldedRow[];
}

export type NameProcess = (span: SeenSpan) => string;

/** One piece of work: spans from the caller's to the innermost one that stands for it. */
interface Work {
  readonly chain: readonly SeenSpan[];
  readonly children: readonly SpanNode[];
}

export const foldSpans = (root: SpanNode, nameOf: NameProcess): FoldedRow => {
  const [row] = fold([root], root.span.startMs, nameOf);
  return row!;
};

/** "inference 1", "inference 2" where several processes are one service; by their first span. */
export const nameProcesses = (spans: readonly SeenSpan[]): NameProcess => {
  const instances = new Map<string, string[]>();
  for (const { service, instance } of [...spans].sort((a, b) => a.startMs - b.startMs)) {
    const known = instances.get(service) ?? [];
    if (!known.includes(instance)) instances.set(service, [...known, instance]);
  }
  return ({ service, instance }) => {
    const known = instances.get(service) ?? [];
    return known.length < 2 ? service : `${service} ${known.indexOf(instance) + 1}`;
  };
};

const fold = (nodes: readonly SpanNode[], zeroMs: number, nameOf: NameProcess): FoldedRow[] => {
  const groups = new Map<string, Work[]>();
  for (const node of nodes) {
    const work = joinCall(node);
    const key = `${nameOf(work.chain.at(-1)!)}\n${work.chain[0]!.kind}\n${work.chain[0]!.name}`;
    groups.set(key, [...(groups.get(key) ?? []), work]);
  }
  return [...groups.values()].map((works) => rowOf(works, zeroMs, nameOf));
};

const rowOf = (works: readonly Work[], zeroMs: number, nameOf: NameProcess): FoldedRow => {
  const outer = works.map(({ chain }) => chain[0]!);
  const inner = works.flatMap(({ chain }) => (chain.length > 1 ? [chain.at(-1)!] : []));
  const spans = works.flatMap(({ chain }) => chain);
  const since = ({ startMs, endMs }: SeenSpan): Interval => ({ startMs: startMs - zeroMs, endMs: endMs - zeroMs });
  const children = works.flatMap((work) => work.children).sort((a, b) => a.span.startMs - b.span.startMs);
  return {
    service: nameOf(works[0]!.chain.at(-1)!),
    label: labelOf(outer[0]!),
    end: endOf(outer[0]!),
    count: works.length,
    spans: spans.length,
    outer: outer.map(since),
    inner: inner.map(since),
    linkedAtMs: spans.filter(({ links }) => links.length > 0).map(({ startMs }) => startMs - zeroMs),
    children: fold(children, zeroMs, nameOf),
  };
};

const joinCall = ({ span, children }: SpanNode): Work => {
  const [only, ...more] = children;
  if (only === undefined || more.length > 0 || !isAnswer(span, only.span)) return { chain: [span], children };
  const inside = joinCall(only);
  return { chain: [span, ...inside.chain], children: inside.children };
};

const isAnswer = (asked: SeenSpan, answers: SeenSpan): boolean =>
  (asked.kind === KIND.client && answers.kind === KIND.server) || answers.name.startsWith('engine ');

export interface DrawnRow extends Omit<FoldedRow, 'children'> {
  readonly depth: number;
  /** Spans under it that have no row of their own. */
  readonly hidden: number;
}

/** Rows from the top, at most so many: where there are more, the rows that took least time go into the one above them. */
export const flattenRows = (root: FoldedRow, limit: number): DrawnRow[] => {
  const closed = new Set<FoldedRow>();
  const walk = (row: FoldedRow, depth: number): DrawnRow[] => {
    const { children, ...own } = row;
    const hidden = closed.has(row) ? children.reduce((sum, child) => sum + spansUnder(child), 0) : 0;
    return [{ ...own, depth, hidden }, ...(hidden > 0 ? [] : children.flatMap((child) => walk(child, depth + 1)))];
  };
  for (let rows = walk(root, 0); ; rows = walk(root, 0)) {
    const next = rows.length > limit ? cheapest(root, closed) : undefined;
    if (next === undefined) return rows;
    closed.add(next);
  }
};

const spansUnder = ({ spans, children }: FoldedRow): number =>
  children.reduce((sum, child) => sum + spansUnder(child), spans);

const busyMs = ({ outer }: FoldedRow): number => outer.reduce((sum, { startMs, endMs }) => sum + endMs - startMs, 0);

/** The open row with nothing but leaves under it whose leaves took least time. */
const cheapest = (root: FoldedRow, closed: ReadonlySet<FoldedRow>): FoldedRow | undefined => {
  const isLeaf = (row: FoldedRow): boolean => row.children.length === 0 || closed.has(row);
  let found: { readonly row: FoldedRow; readonly ms: number } | undefined;
  const visit = (row: FoldedRow): void => {
    if (isLeaf(row)) return;
    row.children.forEach(visit);
    const ms = row.children.reduce((sum, child) => sum + busyMs(child), 0);
    if (row.children.every(isLeaf) && (found === undefined || ms < found.ms)) found = { row, ms };
  };
  visit(root);
  return found?.row;
};
