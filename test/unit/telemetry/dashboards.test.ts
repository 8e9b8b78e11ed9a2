import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { projectRoot } from '../../../shared/project/root.js';
import { METRICS, type MetricName, type MetricRow, prometheusName } from '../../../shared/telemetry/metric-registry.js';

const read = (name: string) => readFileSync(join(projectRoot, 'deploy/observability', name), 'utf8');
const names = Object.keys(METRICS) as MetricName[];

/** Every series that Prometheus can have of the registry, with its labels. */
const SERIES = new Map<string, readonly string[]>();
for (const name of names) {
  const row: MetricRow = METRICS[name];
  const labels = [...row.labels.map((label) => label.replaceAll('.', '_')), 'service', 'instance', 'job'];
  const parts = row.kind === 'histogram' ? ['_bucket', '_sum', '_count'] : [''];
  for (const part of parts) SERIES.set(prometheusName(name) + part, part === '' ? labels : [...labels, 'le']);
}

const expressionsOf = (text: string): string[] =>
  [...text.matchAll(/expr: (?:>-\n\s+)?(.+(?:\n {10,}.+)*)/g)].map(([, expr]) => expr ?? '');
const recorded = [...read('rules.yml').matchAll(/record: (\S+)/g)].map(([, name]) => name ?? '');
const dashboard = JSON.parse(read('dashboard.json')) as { panels: { title: string; targets?: { expr: string }[] }[] };
const queries = [
  ...expressionsOf(read('rules.yml')).map((expr, i) => [`rule ${i + 1}`, expr] as const),
  ...dashboard.panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => [title, expr] as const)),
];

/** Names in a query that look like a series: words with an underscore or colon, outside label matchers and groupings. */
const seriesIn = (expr: string): string[] =>
  [
    ...expr
      .replace(/\{[^}]*\}/g, '')
      .replace(/\b(by|without) \([^)]*\)/g, '')
      .matchAll(/\b[a-z]+(?:[_:][a-z0-9_:]+)+\b/g),
  ]
    .map(([name]) => name)
    .filter((name) => !/^(histogram_quantile|count_values|label_replace)$/.test(name));

describe('dashboard and rules', () => {
  it('are found: many queries', () => {
    expect(queries.length).toBeGreaterThan(30);
    expect(recorded.length).toBe(4);
  });

  it.each(queries)('%s asks for series that exist', (_where, expr) => {
    const asked = seriesIn(expr);
    expect(asked.length).toBeGreaterThan(0);
    expect(asked.filter((name) => !SERIES.has(name) && !recorded.includes(name))).toEqual([]);
  });

  it.each(queries)('%s groups and filters by labels that those series have', (_where, expr) => {
    const labels = new Set(seriesIn(expr).flatMap((name) => SERIES.get(name) ?? ['service']));
    const grouped = [...expr.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list]) =>
      (list ?? '').split(',').map((label) => label.trim()),
    );
    const filtered = [...expr.matchAll(/\{([^}]*)\}/g)].flatMap(([, list]) =>
      [...(list ?? '').matchAll(/(\w+)\s*[=!]/g)].map(([, label]) => label ?? ''),
    );
    expect([...grouped, ...filtered].filter((label) => !labels.has(label))).toEqual([]);
  });

  it('every metric of the registry is on the dashboard or in a rule', () => {
    const asked = new Set(queries.flatMap(([, expr]) => seriesIn(expr)));
    const unseen = names.filter((name) => ![...asked].some((series) => series.startsWith(prometheusName(name))));
    expect(unseen).toEqual([]);
  });

  it('the collector keeps the names of the registry and has a pipeline for both kinds', () => {
    const text = read('collector.yaml');
    expect(text).toContain('add_metric_suffixes: true');
    expect(text).toMatch(/traces:\n\s+receivers: \[otlp\]/);
    expect(text).toMatch(/metrics:\n\s+receivers: \[otlp\]/);
  });
});

describe('the registry', () => {
  it.each(names)('%s is named as Prometheus wants it', (name) => {
    const { kind, labels, unit } = METRICS[name];
    expect(name).toMatch(/^(refusal|rpc)(\.[a-z_]+)+$/);
    expect(prometheusName(name)).toMatch(/^[a-z_]+$/);
    if (kind === 'histogram') expect([unit, prometheusName(name)]).toEqual(['s', expect.stringMatching(/_seconds$/)]);
    if (kind === 'counter') expect(prometheusName(name)).toMatch(/_total$/);
    for (const label of labels) expect(label).not.toMatch(/prompt|text|id$|feature|key|token/);
  });

  it('docs/observability.md lists every metric, and no other', () => {
    const page = readFileSync(join(projectRoot, 'docs/observability.md'), 'utf8');
    const listed = [...page.matchAll(/^\| `((?:refusal|rpc)\.[a-z_.]+)` \|/gm)].map(([, name]) => name);
    expect(listed.sort()).toEqual([...names].sort());
  });
});
