import { describe, expect, it } from 'vitest';
import { headlineSection, strictestControl, verdictOf } from '../../../services/console/report/sections/headline.js';
import type { Report } from '../../../services/coordinator/report/report-type.js';
import { sampleReport } from './sample-report.js';

const reportWith = (summary: Partial<Report['summary']>): Report => {
  const report = sampleReport();
  return { ...report, summary: { ...report.summary, ...summary } };
};
const text = (report: Report): string =>
  headlineSection(report)
    .body.text.replaceAll('\u00a0', ' ')
    .replace(/<[^>]+>/g, '');

describe('headline', () => {
  it('calls sets specific when the strictest control stays clearly below them', () => {
    const report = reportWith({});
    expect(verdictOf(report)).toBe('specific');
    expect(strictestControl(report)?.arm).toBe('randomActiveFeatures');
    expect(text(report)).toContain('the strictest control (random active features) flips 3 of 80');
  });

  it('does not call them specific when a control flips as often', () => {
    const report = reportWith({
      controlFlips: [
        { arm: 'randomFeatures', flips: { count: 0, of: 80 } },
        { arm: 'randomDirections', flips: { count: 60, of: 80 } },
      ],
    });
    expect(verdictOf(report)).toBe('not specific');
    expect(text(report)).toContain('not shown to be specific: a control (random directions, same norm) flips 60 of 80');
  });

  it('does not call a handful of draws a proof', () => {
    const few = {
      minimalSetsFound: { count: 2, of: 2 },
      controlFlips: [{ arm: 'randomFeatures' as const, flips: { count: 0, of: 2 } }],
    };
    expect(verdictOf(reportWith(few))).toBe('not specific');
  });

  it('does not take the ablated direction, a baseline, for a control', () => {
    const report = reportWith({ controlFlips: [{ arm: 'directionAblation', flips: { count: 16, of: 16 } }] });
    expect(verdictOf(report)).toBe('no controls');
    expect(text(report)).toContain('No control was run');
  });

  it('says so when nothing flips and when nothing was refused', () => {
    const none = reportWith({ minimalSetsFound: { count: 0, of: 18 }, setSize: null, firstFlippingLayer: null });
    expect(text(none)).toContain('No refusal could be switched off: none of the 18 searched prompts flipped');
    expect(text(reportWith({ minimalSetsFound: { count: 0, of: 0 } }))).toContain('No searched prompt was refused');
  });
});
