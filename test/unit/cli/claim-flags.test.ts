import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { buildSpec, type SpecFlags } from '../../../services/cli/build-spec.js';
import { addClaimFlags, type ClaimFlags } from '../../../services/cli/claim-flags.js';
import { formatClaims } from '../../../services/cli/claim-lines.js';
import type { Report } from '../../../services/coordinator/report/report-type.js';
import { sampleReport } from '../console/sample-report.js';

const parse = (...flags: string[]): ClaimFlags => {
  const command = addClaimFlags(new Command())
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });
  return command.parse(flags, { from: 'user' }).opts();
};
const REST: SpecFlags = { filter: 'group', positions: 'instruction', seed: 0 };

describe('flags of the stages behind claims', () => {
  it('become the spec; what is not given stays open', () => {
    const flags = parse(
      '--over-refusal',
      '--skip',
      'hydra, cost',
      '--family-evaluations',
      '500',
      '--min-effect',
      '0.25',
    );
    const spec = buildSpec([], { ...REST, ...flags });
    expect(spec).toMatchObject({ overRefusal: true, skipStages: ['hydra', 'cost'] });
    expect(spec.claims).toMatchObject({
      familyEvaluations: 500,
      hydraMinEffect: 0.25,
      prompts: 0,
      costAnswerTokens: 0,
    });
    expect(buildSpec([], REST)).toMatchObject({ overRefusal: false, skipStages: [], claims: { familyEvaluations: 0 } });
  });

  it.each([
    [['--skip', 'filter'], '"filter" cannot be left out; these can: alternatives, family, hydra, sufficiency, cost.'],
    [['--min-effect', '0'], 'It must be a number above 0'],
    [['--family-sets', '1025'], 'between 1 and 1024'],
  ])('%j is refused with what is taken', (flags, text) => {
    expect(() => parse(...flags)).toThrow(text);
  });
});

describe('lines of the summary', () => {
  it('have a rate with its denominator for each stage', () => {
    const lines = formatClaims(sampleReport());
    expect(lines.map((line) => line.split(/\s{2,}/)[0])).toEqual(['All sets', 'Hydra', 'Hydra', 'Sufficiency', 'Cost']);
    expect(lines[1]).toContain('3 features in 2 rounds (17/402 in round 1, 21/77 in round 1, 21/1911 in round 2)');
    expect(lines[2]).toContain('from strongest features: 2 features in 1 round (21/606 in round 1, 17/402 in round 1)');
    expect(lines[4]).toContain('16 of 16 sets keep the mean KL on 8 harmless prompts at or below 0.1 nats');
  });

  it('are absent for stages that were not run', () => {
    const { families, hydra, sufficiency, costs, ...rest } = sampleReport();
    expect([families, hydra, sufficiency, costs]).not.toContain(undefined);
    expect(formatClaims(rest as Report)).toEqual([]);
  });
});
