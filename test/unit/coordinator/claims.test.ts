import { describe, expect, it } from 'vitest';
import { ClaimSettings } from '../../../proto/gen/refusalscope/v1/coordinator.js';
import type { AuditSpec } from '../../../services/coordinator/audit/audit-spec.js';
import { CLAIM_DEFAULTS, decodeClaimSettings } from '../../../services/coordinator/audit/claim-settings.js';
import type { FamilyFacts } from '../../../services/coordinator/report/report-type.js';
import { chooseHarmless } from '../../../services/coordinator/stages/claim-cases.js';
import { distinctSets } from '../../../services/coordinator/stages/cost.js';
import { describeFamilies } from '../../../services/coordinator/stages/family.js';
import { type PromptWithSet, spreadOverCategories } from '../../../services/coordinator/stages/search-prompts.js';
import type { StageResults } from '../../../services/coordinator/stages/stage-results.js';
import { stagesOf } from '../../../services/coordinator/stages/stages.js';
import { countArms } from '../../../services/coordinator/stages/sufficiency.js';

const familyOf = (promptId: string, changes: Partial<FamilyFacts>): FamilyFacts => ({
  promptId,
  outcome: 'found',
  candidates: 50,
  candidatesPerLayer: 10,
  cleanScore: 4,
  allOffScore: -4,
  sets: [],
  sustaining: [],
  members: [],
  necessary: [],
  disjointSets: 1,
  depthOfDefence: 1,
  complete: true,
  violations: 0,
  evaluations: 50,
  ...changes,
});

describe('numbers over the prompts', () => {
  it('count necessary features over the families that were found, and leave a prompt without a flip out of the depths', () => {
    const described = describeFamilies([
      familyOf('a', { necessary: ['1/1', '1/2'], depthOfDefence: 2 }),
      familyOf('b', { necessary: ['1/2'], depthOfDefence: 4, complete: false }),
      familyOf('c', { outcome: 'no flip', depthOfDefence: 0, disjointSets: 0 }),
    ]);
    expect(described).toEqual({
      complete: { count: 1, of: 3 },
      depthOfDefence: { min: 2, median: 3, mean: 3, max: 4 },
      disjointSets: { min: 1, median: 1, mean: 1, max: 1 },
      necessary: [
        { feature: '1/2', prompts: { count: 2, of: 2 } },
        { feature: '1/1', prompts: { count: 1, of: 2 } },
      ],
    });
    expect(describeFamilies([])).toMatchObject({ depthOfDefence: null, complete: { count: 0, of: 0 } });
  });

  it('count a set as refusing above 0 alone, and each harmless prompt of each set', () => {
    const arm = (leftOnScore: number, putBackScore: number, count: number) => ({
      leftOnScore,
      putBackScore,
      harmlessRefused: { count, of: 4 },
      meanHarmlessScore: -1,
    });
    expect(countArms([arm(0, 1, 3), arm(0.1, -1, 0)])).toEqual({
      leftOn: { count: 1, of: 2 },
      putBack: { count: 1, of: 2 },
      harmlessRefused: { count: 3, of: 8 },
    });
    expect(countArms([]).harmlessRefused).toEqual({ count: 0, of: 0 });
  });

  it('take sets that differ only in order as one, those of most prompts first', () => {
    const caseOf = (id: string, features: string[]) => ({ prompt: { id }, features }) as unknown as PromptWithSet;
    const sets = distinctSets([caseOf('a', ['9/2']), caseOf('b', ['5/1', '13/4']), caseOf('c', ['13/4', '5/1'])]);
    expect(sets.map(({ members, promptIds }) => [members, promptIds])).toEqual([
      [
        ['5/1', '13/4'],
        ['b', 'c'],
      ],
      [['9/2'], ['a']],
    ]);
  });
});

describe('what the stages take', () => {
  it('one of each category before the second of any, in the order given', () => {
    const items = ['a1', 'a2', 'a3', 'b1', 'c1', 'b2'];
    const take = (limit: number) => spreadOverCategories(items, limit, (item) => item[0]!);
    expect(take(3)).toEqual(['a1', 'b1', 'c1']);
    expect(take(4)).toEqual(['a1', 'a2', 'b1', 'c1']);
    expect(take(99)).toEqual(items);
  });

  it('harmless prompts that the model answers, or of which that is not known, and never a searched one', () => {
    const promptOf = (id: string, label: string) => ({ id, label, category: '', input: { text: id } });
    const spec = {
      prompts: [promptOf('h', 'harmful'), ...['a', 'b', 'c', 'd'].map((id) => promptOf(id, 'harmless'))],
      claims: { ...CLAIM_DEFAULTS, harmlessPrompts: 1 },
    } as unknown as AuditSpec;
    const baselines = { a: { refusalScore: 2 }, b: { refusalScore: -2 }, c: { refusalScore: -3 } };
    const earlier = { openers: { searchIds: ['h', 'c'], baselines } } as unknown as StageResults;
    const { all, taken } = chooseHarmless(spec, earlier);
    expect(all.map(({ id }) => id)).toEqual(['b', 'd']);
    expect(taken.map(({ id }) => id)).toEqual(['b']);
  });

  it('caps: zeros are the defaults, and what is given stays', () => {
    expect(decodeClaimSettings(undefined)).toEqual(CLAIM_DEFAULTS);
    const given = ClaimSettings.fromPartial({ prompts: 3, hydraLevel: 0.01 });
    expect(decodeClaimSettings(given)).toEqual({ ...CLAIM_DEFAULTS, prompts: 3, hydraLevel: 0.01 });
  });

  it.each([
    [{ hydraMinEffect: Number.NaN, prompts: 1 }, CLAIM_DEFAULTS.hydraMinEffect],
    [{ hydraMinEffect: 0.5 }, 0.5],
  ])('an effect of %j is %d', (given, effect) => {
    expect(decodeClaimSettings(ClaimSettings.fromPartial(given)).hydraMinEffect).toBe(effect);
  });

  it.each([
    [{ hydraMinEffect: Number.POSITIVE_INFINITY }, 'claims.hydra_min_effect is Infinity'],
    [{ hydraLevel: 1.5 }, 'claims.hydra_level is 1.5'],
    [{ sufficiencyDraws: 65 }, 'claims.sufficiency_draws is 65; at most 64'],
    [{ costAnswerTokens: 5000 }, 'claims.cost_answer_tokens is 5000; at most 4096'],
  ])('caps of %j are refused, naming the field', (given, text) => {
    expect(() => decodeClaimSettings(ClaimSettings.fromPartial(given))).toThrow(
      expect.objectContaining({ code: 'REQUEST_INVALID', message: expect.stringContaining(text) }),
    );
  });

  it('stages: those behind claims only of a spec that knows them, less the skipped ones, and over-refusal where asked', () => {
    const namesOf = (spec: object) => stagesOf(spec as AuditSpec).map(({ name }) => name);
    expect(namesOf({}).at(-1)).toBe('controls');
    expect(namesOf({ claims: CLAIM_DEFAULTS }).slice(-5)).toEqual([
      'alternatives',
      'family',
      'hydra',
      'sufficiency',
      'cost',
    ]);
    const spec = { claims: CLAIM_DEFAULTS, skipStages: ['family', 'cost'], overRefusal: true };
    expect(namesOf(spec).slice(-3)).toEqual(['hydra', 'sufficiency', 'over-refusal']);
  });
});
