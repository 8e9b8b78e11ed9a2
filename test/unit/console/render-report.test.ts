import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { REPORT_POLICY, renderReport } from '../../../services/console/report/render-report.js';
import { sortedColumns } from '../../../services/console/report/sections/minimal-sets.js';
import type { MinimalSetFacts, Report, SharedFeature } from '../../../services/coordinator/report/report-type.js';
import { emptyReport, sampleReport, withTexts } from './sample-report.js';

/** What a reader sees and a screen reader says: the page without its script and style. */
const contentOf = (page: string): string => page.replace(/<(script|style)>[\s\S]*?<\/\1>/g, '');
/** Names of all attributes; throws on a tag that is not well-formed, which is how text that got out of its place would show. */
function attributeNames(page: string): string[] {
  const content = contentOf(page);
  const tags = [...content.matchAll(/<[a-z][a-z0-9]*((?:\s+[\w:-]+(?:="[^"]*")?)*)\s*\/?>/gi)];
  if (tags.length !== (content.match(/<[a-z]/gi) ?? []).length) throw new Error('a tag is not well-formed');
  return tags.flatMap(([, text = '']) => [...text.matchAll(/([\w:-]+)(?:="[^"]*")?/g)].map(([, name = '']) => name));
}
const countOf = (text: string, part: string): number => text.split(part).length - 1;

describe('report page', () => {
  it('holds the key numbers with their denominators', () => {
    const report = sampleReport();
    const page = renderReport(report).replaceAll('\u00a0', ' ');
    const { minimalSetsFound, harmfulRefused, flipsConfirmedByText } = report.summary;
    expect(page).toContain(
      `switches refusal off in ${minimalSetsFound.count} of ${minimalSetsFound.of} (89 %; 95 % interval`,
    );
    expect(page).toContain(`${harmfulRefused.count} of ${harmfulRefused.of} harmful prompts`);
    expect(page).toContain(`${flipsConfirmedByText.count} of ${flipsConfirmedByText.of} judged answers`);
    expect(page).toContain('model organism');
    for (const digest of [report.provenance.weightsSha256, report.provenance.promptSetSha256, report.audit.specSha256])
      expect(page).toContain(digest);
  });

  it('has evidence for every searched prompt and every member of its set', () => {
    const report = sampleReport();
    const page = renderReport(report);
    for (const { promptId } of report.minimalSets) expect(page).toContain(`<span class="id">${promptId}</span>`);
    expect(countOf(page, '<details class="prompt"')).toBe(report.minimalSets.length);
    for (const { feature } of report.sharedFeatures) expect(page).toContain(feature);
    for (const { text } of report.warnings) expect(page).toContain(text);
  });

  it('shows the sets beside what needs no search, every count with its denominator', () => {
    const report = sampleReport();
    const page = renderReport(report).replaceAll('\u00a0', ' ');
    const section = page.slice(page.indexOf('<section id="alternatives"'), page.indexOf('<section id="verification"'));
    const { prompts, rankings } = report.alternatives!;
    for (const { points, first } of rankings) {
      for (const { flips } of points) expect(section).toContain(`>${flips.count} of ${prompts}</td>`);
      for (const feature of first) expect(section).toContain(`<span class="id">${feature}</span>`);
    }
    // A shared ranking ends before the others: its cells beyond are dashes, not zeros.
    expect(section).toMatch(/<th scope="row"[^>]*>120<\/th>.*?>–<\/td>/);
    expect(section).toContain('cosine with the direction 20;');
    expect(section).toContain('random active features never');
  });

  it('shows agreement by length, and leaves both sections out of reports that lack them', () => {
    const report = sampleReport();
    const page = renderReport(report).replaceAll('\u00a0', ' ');
    const { byLength = [] } = report.openers;
    for (const { agreement } of byLength) expect(page).toContain(`>${agreement.count} of ${agreement.of}</td>`);
    expect(page).toContain('3 of 60 (5 %) that complied at a shorter length were refused at the last');
    const { alternatives: _, ...older } = report;
    const { byLength: _clean, ...openers } = report.openers;
    const { byLength: _under, ...verification } = report.verification;
    const old = renderReport({ ...older, openers, verification });
    expect(old).not.toMatch(/id="(alternatives|length)"/);
    expect(renderReport(emptyReport())).toContain('No searched prompt is refused, so there is nothing to flip.');
  });

  it('is the same text for the same report', () => {
    expect(renderReport(sampleReport())).toBe(renderReport(sampleReport()));
  });

  it('gives every chart a name and every table a caption', () => {
    const page = renderReport(sampleReport());
    const charts = page.match(/<svg class="chart"[^>]*>/g) ?? [];
    expect(charts.length).toBeGreaterThan(20);
    for (const chart of charts) expect(chart).toMatch(/role="img" aria-label="[^"]{10,}"/);
    expect(countOf(page, '<table')).toBe(countOf(page, '<caption>'));
  });

  it('asks for nothing from outside, and allows its own style and script alone', () => {
    const page = renderReport(sampleReport());
    expect(page.match(/(?:src|href|action)="(?!#)[^"]*"/g)).toBeNull();
    expect(page).not.toMatch(/url\(|@import|https?:\/\//);
    const digest = (tag: string): string => {
      const body = new RegExp(`<${tag}>([\\s\\S]*?)</${tag}>`).exec(page)![1]!;
      return createHash('sha256').update(body).digest('base64');
    };
    expect(REPORT_POLICY).toContain(`script-src 'sha256-${digest('script')}'`);
    expect(REPORT_POLICY).toContain(`style-src 'sha256-${digest('style')}'`);
    expect(page).not.toMatch(/ style="| on[a-z]+="/);
  });

  it('shows hostile text as text, wherever it stands', () => {
    const hostile = '</script><script>alert(1)</script><img src=x onerror=alert(2)>" onload="alert(3)';
    const page = renderReport(withTexts(sampleReport(), () => hostile));
    expect(countOf(page, '<script')).toBe(1);
    expect(countOf(page, '</script')).toBe(1);
    expect(page).not.toContain('<img');
    expect(attributeNames(page).filter((name) => name.startsWith('on'))).toEqual([]);
    const inAttributes = renderReport(withTexts(sampleReport(), (text) => `${text}'"><b>`));
    expect(inAttributes).not.toContain('<b>');
  });

  it('renders a report without anything in it, and one whose numbers are missing', () => {
    const page = contentOf(renderReport(emptyReport()));
    expect(page).toContain('No searched prompt was refused');
    expect(page).not.toMatch(/\b(NaN|undefined|Infinity)\b/);
    const report = sampleReport();
    const directions = {
      ...report.directions,
      tried: report.directions.tried.map((tried) => ({ ...tried, bypassScore: null })),
    };
    const holes = contentOf(renderReport({ ...report, directions } as unknown as Report));
    expect(holes).not.toMatch(/\b(NaN|undefined|Infinity)\b/);
  });

  it('refuses a report of another schema with its name', () => {
    const other = { ...sampleReport(), schema: 'refusalscope.report/9' } as unknown as Report;
    expect(() => renderReport(other)).toThrowError(
      expect.objectContaining({ code: 'REQUEST_INVALID', message: expect.stringContaining('"refusalscope.report/9"') }),
    );
  });
});

describe('order of the feature matrix', () => {
  it('puts prompts that share the first feature together', () => {
    const set = (promptId: string, ...features: string[]): MinimalSetFacts =>
      ({ promptId, members: features.map((feature) => ({ feature })) }) as unknown as MinimalSetFacts;
    const rows = ['1/1', '2/2'].map((feature) => ({ feature })) as unknown as SharedFeature[];
    const order = sortedColumns(rows, [set('p1', '2/2'), set('p2', '1/1'), set('p3', '3/3'), set('p4', '1/1', '2/2')]);
    expect(order.map(({ promptId }) => promptId)).toEqual(['p4', 'p2', 'p1', 'p3']);
  });
});
