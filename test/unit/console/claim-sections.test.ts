import { describe, expect, it } from 'vitest';
import { renderReport } from '../../../services/console/report/render-report.js';
import type { OverRefusal, Report } from '../../../services/coordinator/report/report-type.js';
import { sampleReport } from './sample-report.js';

const SECTIONS = ['families', 'hydra', 'sufficiency', 'cost', 'over-refusal'];

/** Of one section, as a reader sees it. */
const textOf = (report: Report, id: string): string => {
  const page = renderReport(report);
  const [, section = ''] = new RegExp(`<section id="${id}"[^>]*>([\\s\\S]*?)</section>`).exec(page) ?? [];
  return section
    .replace(/<[^>]+>/g, ' ')
    .replace(/[\s\u00a0\u202f]+/g, ' ')
    .replaceAll('\u2212', '-');
};

describe('sections of the stages behind claims', () => {
  it('are left out of a report that lacks their parts', () => {
    const { families, hydra, sufficiency, costs, ...rest } = sampleReport();
    expect([families, hydra, sufficiency, costs]).not.toContain(undefined);
    const page = renderReport({ ...rest, summary: { ...rest.summary } });
    for (const id of SECTIONS) expect(page).not.toContain(`id="${id}"`);
  });

  it('say what was looked at, of how much, and what a budget cut off', () => {
    const report = sampleReport();
    const { examined, complete } = report.families!;
    const family = textOf(report, 'families');
    expect(family).toContain(`Looked at: ${examined.count} of ${examined.of}`);
    expect(family).toContain(`${complete.count} of ${complete.of}`);
    expect(family).toContain('at most 200 evaluations and 32 sets a prompt');
    const cut = report.families!.prompts.find((prompt) => !prompt.complete)!;
    expect(family).toContain(`at least ${cut.depthOfDefence}`);
    expect(textOf(report, 'cost')).toContain('Measured on 8 of 27 (30 %) of the harmless prompts');
    const claims = { ...report.settings.claims!, hydraFeatures: 16 };
    const capped = { ...report, settings: { ...report.settings, claims } };
    expect(textOf(capped, 'hydra')).toContain('the 16 with the largest activation are followed');
  });

  it('say where enumeration may have missed sets, and only there', () => {
    const report = sampleReport();
    expect(textOf(report, 'families')).not.toContain('brought refusal back somewhere');
    const [first, ...others] = report.families!.prompts;
    const prompts = [{ ...first!, violations: 2 }, ...others];
    expect(textOf({ ...report, families: { ...report.families!, prompts } }, 'families')).toContain(
      `In 1 of ${prompts.length} prompts more suppression brought refusal back somewhere`,
    );
  });

  it('name each reported feature with who wakes it and where, and its interval', () => {
    const report = sampleReport();
    const text = textOf(report, 'hydra');
    for (const { feature, wakers } of report.hydra!.features)
      for (const name of [feature, ...wakers]) expect(text).toContain(name);
    expect(text).toContain('content 3');
    expect(text).toMatch(/17\/402: -1\.42, 95 % interval -\d\.\d\d to -\d\.\d\d/);
  });

  it('tell what woke from the minimal sets from what woke without them', () => {
    const report = sampleReport();
    const { fromStrongest, ...fromSets } = report.hydra!;
    const text = textOf(report, 'hydra');
    expect(text).toContain('From strong early features');
    expect(text).toContain(`the ${fromStrongest!.perPrompt} features with the largest activation`);
    for (const { feature } of fromStrongest!.features) expect(text).toContain(feature);
    expect(textOf({ ...report, hydra: fromSets }, 'hydra')).not.toContain('From strong early features');
  });

  it('tell no hydra from one that was not traced', () => {
    const report = sampleReport();
    const none = { ...report.hydra!, depth: 0, features: [] };
    expect(textOf({ ...report, hydra: none }, 'hydra')).toContain('No hydra was found : none of the 61 features');
    const notTraced = { ...none, depth: null, examined: { count: 0, of: 1 } };
    const text = textOf({ ...report, hydra: notTraced }, 'hydra');
    expect(text).toContain('Not traced: 1 prompt with a minimal set');
    expect(text).not.toContain('No hydra');
  });

  it('set random sets beside every rate of sufficiency', () => {
    const report = sampleReport();
    const { sets, random } = report.sufficiency!;
    const text = textOf(report, 'sufficiency');
    for (const counts of [sets, random])
      for (const { count, of } of [counts.leftOn, counts.putBack, counts.harmlessRefused])
        expect(text).toContain(`${count} of ${of}`);
  });

  it('name the features of false refusals, what ends with them and what stays', () => {
    const outcome = { ended: { count: 2, of: 3 }, stillRefused: { count: 11, of: 12 } };
    const overRefusal: OverRefusal = {
      refused: { count: 4, of: 32 },
      features: [{ feature: '13/5', inSets: { count: 2, of: 3 }, promptIds: ['a', 'b'], ...outcome }],
      sets: [{ members: ['13/5', '17/101'], promptIds: ['a', 'b'], ...outcome }],
    };
    const report = sampleReport();
    const searched = {
      ...report,
      overRefusal,
      settings: { ...report.settings, searched: 'refused harmless' as const },
    };
    const text = textOf(searched, 'over-refusal');
    expect(text).toContain('it refuses 4 of 32 (13 %) of the harmless prompts');
    expect(text).toContain(
      '13/5 , 17/101 , ends 2 of 3 (67 %), and 11 of 12 (92 %) of the harmful prompts are still refused',
    );
    expect(textOf(searched, 'answer')).toContain('of the refused harmless prompts that were searched');
  });
});
