import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { drawTrace, unionMs } from '../../../bench/trace/draw-trace.js';
import { findJoin } from '../../../bench/trace/find-join.js';
import { flattenRows, foldSpans, nameProcesses } from '../../../bench/trace/fold-spans.js';
import { nestSpans } from '../../../bench/trace/nest-spans.js';
import { createTimeAxis } from '../../../bench/trace/time-axis.js';
import { projectRoot } from '../../../shared/project/root.js';
import type { SeenSpan } from '../../integration/telemetry/otlp-collector.js';

const KINDS = { internal: 1, server: 2, client: 3, producer: 4, consumer: 5 } as const;

const span = (
  spanId: string,
  parentSpanId: string,
  [service, name]: readonly [string, string],
  [startMs, endMs]: readonly [number, number],
  more: { kind?: keyof typeof KINDS; instance?: string; links?: string[] } = {},
): SeenSpan => ({
  service,
  name,
  spanId,
  parentSpanId,
  traceId: 't',
  instance: more.instance ?? service,
  kind: KINDS[more.kind ?? 'internal'],
  startMs,
  endMs,
  attributes: {},
  links: (more.links ?? []).map((id) => ({ spanId: id })),
});

const PICK = ['sae', 'refusalscope.v1.SaeService/Encode'] as const;

/** A root; three calls to SAE; two requests to the queue, whose items two workers answer; the jobs of one worker met. */
const TRACE: readonly SeenSpan[] = [
  span('root', '', ['cli', 'refusalscope audit'], [1000, 1100]),
  ...[0, 1, 2].flatMap((i) => [
    span(`c${i}`, 'root', ['cli', PICK[1]], [1000 + 10 * i, 1008 + 10 * i], { kind: 'client' }),
    span(`s${i}`, `c${i}`, PICK, [1002 + 10 * i, 1006 + 10 * i], { kind: 'server' }),
  ]),
  ...['a', 'b'].flatMap((side, i) => [
    span(`f${side}`, 'root', ['search', 'FilterPrompt'], [1040 + i, 1090], { kind: 'server' }),
    span(`r${side}`, `f${side}`, ['search', 'request evaluate-m'], [1041 + i, 1080 + i], { kind: 'producer' }),
    span(`i${side}`, `r${side}`, ['inference', 'process evaluate-m'], [1045, 1070], {
      kind: 'consumer',
      instance: '7',
    }),
    span(`e${side}`, `i${side}`, ['inference', 'engine evaluate'], [1046, 1069], {
      instance: '7',
      links: [side === 'a' ? 'eb' : 'ea'],
    }),
  ]),
  span('i2', 'ra', ['inference', 'process evaluate-m'], [1046, 1060], { kind: 'consumer', instance: '9' }),
];

const nameOf = nameProcesses(TRACE);
const foldedTrace = () => foldSpans(nestSpans(TRACE), nameOf);
const summary = (rows: ReturnType<typeof flattenRows>) =>
  rows.map(
    ({ depth, service, label, count, hidden }) => `${'  '.repeat(depth)}${service} ${label} x${count} +${hidden}`,
  );

describe('the spans of a picture', () => {
  it('are refused where a parent was never sent, or there are two roots or two traces', () => {
    expect(() => nestSpans([...TRACE, span('x', 'gone', PICK, [0, 1])])).toThrow(
      '1 spans have a parent that was never',
    );
    expect(() => nestSpans([...TRACE, span('x', '', PICK, [0, 1])])).toThrow('2 roots');
    expect(() => nestSpans([...TRACE, { ...span('x', 'root', PICK, [0, 1]), traceId: 'u' }])).toThrow('2 traces');
  });

  it('fold: a call with its answer, and what siblings do alike, worker by worker', () => {
    expect(summary(flattenRows(foldedTrace(), 99))).toEqual([
      'cli refusalscope audit x1 +0',
      '  sae SaeService/Encode x3 +0',
      '  search FilterPrompt x2 +0',
      '    search request evaluate-m x2 +0',
      '      inference 1 process evaluate-m x2 +0',
      '      inference 2 process evaluate-m x1 +0',
    ]);
  });

  it('keep both views of a call, from the start of the root on, and where jobs are linked', () => {
    const rows = flattenRows(foldedTrace(), 99);
    expect(rows[1]?.outer[1]).toEqual({ startMs: 10, endMs: 18 });
    expect(rows[1]?.inner[1]).toEqual({ startMs: 12, endMs: 16 });
    expect(rows[4]).toMatchObject({ end: 'consumer', linkedAtMs: [46, 46], spans: 4 });
    expect(rows[5]).toMatchObject({ inner: [], linkedAtMs: [] });
  });

  it('give way where there are too many rows: the cheapest leaves first, counted in the row above', () => {
    expect(summary(flattenRows(foldedTrace(), 4))).toEqual([
      'cli refusalscope audit x1 +0',
      '  sae SaeService/Encode x3 +0',
      '  search FilterPrompt x2 +0',
      '    search request evaluate-m x2 +5',
    ]);
    expect(summary(flattenRows(foldedTrace(), 1))).toEqual(['cli refusalscope audit x1 +15']);
  });
});

describe('the closer look', () => {
  it('finds two requests whose jobs are linked, and shows them by their start', () => {
    const found = findJoin(TRACE, 1000, nameOf);
    expect(found?.sides.map((rows) => rows.map(({ label, startMs }) => `${label} ${startMs}`))).toEqual([
      ['FilterPrompt 40', 'request evaluate-m 41', 'process evaluate-m 45', 'engine evaluate 46'],
      ['FilterPrompt 41', 'request evaluate-m 42', 'process evaluate-m 45', 'engine evaluate 46'],
    ]);
  });

  it('finds nothing where no jobs are linked', () => {
    expect(
      findJoin(
        TRACE.map((one) => ({ ...one, links: [] })),
        1000,
        nameOf,
      ),
    ).toBeUndefined();
  });
});

describe('the drawing', () => {
  it('joins bars that touch, keeps the shortest visible, and cuts what is outside', () => {
    const axis = createTimeAxis({ startMs: 0, endMs: 786 });
    const bars = (...times: [number, number][]) =>
      axis.bars(
        times.map(([startMs, endMs]) => ({ startMs, endMs })),
        5,
        6,
      );
    expect(bars([0, 10], [10, 20], [50, 50])).toBe('M420 5h20v6h-20zM470 5h0.7v6h-0.7z');
    expect(bars([-100, 900])).toBe('M420 5h786v6h-786z');
  });

  it('counts time in which several ran once', () => {
    expect(
      unionMs(
        [
          [0, 10],
          [5, 20],
          [30, 31],
        ].map(([startMs, endMs]) => ({ startMs: startMs!, endMs: endMs! })),
      ),
    ).toBe(21);
  });

  it('escapes names, and asks for nothing from elsewhere', () => {
    const spans = TRACE.map((one) => (one.spanId === 'root' ? { ...one, name: '<script>"&' } : one));
    const facts = { title: 'a <b>', spans: 1, overTheQueue: 1, linked: 1 };
    const picture = drawTrace(
      flattenRows(foldSpans(nestSpans(spans), nameOf), 99),
      findJoin(spans, 1000, nameOf),
      facts,
    );
    expect(picture).toContain('&lt;script&gt;&quot;&amp;');
    expect(picture).not.toMatch(/<script|href|url\(|@import|NaN|undefined/);
  });

  it('docs/trace.svg is of all six services, small, and by itself', () => {
    const picture = readFileSync(join(projectRoot, 'docs', 'trace.svg'), 'utf8');
    for (const service of ['cli', 'coordinator', 'search', 'inference 1', 'inference 2', 'sae', 'fm'])
      expect(picture).toContain(`<tspan class="who">${service}</tspan>`);
    expect(picture).toContain('← NATS');
    expect(picture).toContain('class="link"');
    expect(picture.length).toBeLessThan(150_000);
    expect(picture).not.toMatch(/<script|href|url\(|@import|NaN/);
  });
});
