import { describe, expect, it } from 'vitest';
import type { EvaluationRecord } from '../../../services/search/model/evaluator.js';
import { findDormant } from '../../../services/search/stages/find-dormant.js';
import { measureInteractions } from '../../../services/search/stages/measure-interactions.js';
import { profileDepth } from '../../../services/search/stages/profile-depth.js';
import { rankCandidates } from '../../../services/search/stages/rank-candidates.js';
import { sampleMasks } from '../../../services/search/stages/sample-masks.js';
import { verifyFlips } from '../../../services/search/stages/verify-flips.js';
import { formatFeature, parseFeature } from '../../../shared/tensors/feature-name.js';
import { encodeMaskIndices } from '../../../shared/tensors/mask-bits.js';
import {
  createPlantedContext,
  INSTRUCTION,
  type Mechanism,
  planHydra,
  planOr,
  SCORE_SPEC,
  textPrompt,
} from './planted-model.js';

const LAYERS = [3, 5, 7];
const features = (...names: string[]) => names.map(parseFeature);
const contextOf = (mechanism: Mechanism) => createPlantedContext({ layers: LAYERS, mechanism });
const common = { model: '', score: SCORE_SPEC, positions: INSTRUCTION, known: [] as EvaluationRecord[] };

describe('ranking candidates', () => {
  const unit = Float32Array.of(1, 0);
  it('gives each layer its nearest, by layer then cosine, and no more than the SAE has', async () => {
    const context = contextOf(planOr(['3/9', '7/2'], ['7/4']));
    const directions = [7, 3].map((layer) => ({ layer, vector: unit }));
    const ranked = await rankCandidates(context, directions, 2);
    expect(ranked.map(formatFeature)).toEqual(['3/9', '3/0', '7/4', '7/2']);
    expect(await rankCandidates(context, directions, 1000)).toHaveLength(80);
  });

  it.each([
    [0, [3], 'REQUEST_INVALID', '0 candidates a layer were asked for; 1 to 65536 are allowed.'],
    [5, [3, 3], 'REQUEST_INVALID', 'Layer 3 has two directions; one a layer is needed.'],
    [5, [4], 'SAE_UNKNOWN', 'Layer 4 has no SAE; there are SAEs for layers 3, 5, 7.'],
  ])('refuses %i candidates of layers %j', async (count, layers, code, message) => {
    const directions = layers.map((layer) => ({ layer, vector: unit }));
    await expect(rankCandidates(contextOf(planOr([])), directions, count)).rejects.toMatchObject({ code, message });
  });
});

describe('depth profile', () => {
  it('shows from which layer on a flip is possible', async () => {
    const context = contextOf(planOr(['5/1', '5/2'], ['3/4', '7/8']));
    const prompts = ['p1', 'p2', 'p3'].map(textPrompt);
    const profile = await profileDepth(context, {
      ...common,
      prompts,
      candidates: features('3/4', '5/1', '5/2', '7/8'),
    });
    expect(profile.map(({ layer, alone, upTo, from }) => [layer, alone.flips, upTo.flips, from.flips])).toEqual([
      [3, 0, 0, 3],
      [5, 3, 3, 3],
      [7, 0, 3, 0],
    ]);
    expect(profile[1]).toMatchObject({ total: 3, alone: { meanScore: -3 } });
    // The ends coincide: 6 distinct masks in place of 9.
    expect(context.model.asked).toHaveLength(3 * 6);
  });
});

describe('mask sampling', () => {
  const masks = [[], [0], [0, 1]].map((on) => encodeMaskIndices(on, 2));
  // The mask's order is the request's, not the bank's.
  const request = { ...common, prompts: ['p1', 'p2', 'p3'].map(textPrompt), features: features('7/1', '3/2'), masks };

  it('evaluates every mask on every prompt, prompt-major', async () => {
    const context = contextOf(planOr(['7/1']));
    const scores = await sampleMasks(context, { ...request, paired: false });
    expect(scores.map(({ refusalScore }) => refusalScore)).toEqual([3, -3, -3, 3, -3, -3, 3, -3, -3]);
    expect(context.model.asked).toContain('p1:7/1');
  });

  it('pairs mask i with prompt i', async () => {
    const context = contextOf(planOr(['7/1']));
    await sampleMasks(context, { ...request, paired: true });
    expect(context.model.asked.sort()).toEqual(['p1:', 'p2:7/1', 'p3:3/2+7/1']);
  });

  it.each([
    ['no masks', { masks: [] }, 'REQUEST_INVALID', 'The request has no masks; at least one is needed.'],
    [
      'an unpaired count',
      { paired: true, masks: masks.slice(1) },
      'REQUEST_INVALID',
      'Paired sampling needs one prompt a mask; 2 masks and 3 prompts were given.',
    ],
    [
      'a mask of the wrong length',
      { masks: [new Uint8Array(2)] },
      'MASK_WRONG_LENGTH',
      'A mask of 2 bytes was given; a bank of 2 edits needs exactly 1 (one bit an edit).',
    ],
    [
      'a feature twice',
      { features: features('3/1', '3/1') },
      'REQUEST_INVALID',
      'The request names feature 3/1 twice; each may stand once.',
    ],
    ['no prompts', { prompts: [] }, 'REQUEST_INVALID', 'The request has no prompts; at least one is needed.'],
    ['a feature outside its SAE', { features: features('3/1', '3/99') }, 'FEATURE_UNKNOWN', '3/99 is outside its SAE'],
  ])('refuses %s', async (_name, overrides, code, message) => {
    const call = sampleMasks(contextOf(planOr([])), { ...request, paired: false, ...overrides });
    await expect(call).rejects.toMatchObject({ code, message });
  });
});

describe('2x2 interactions', () => {
  const weights: Record<string, number> = { '3/1': 1, '5/2': 2, '7/3': 0.5 };
  const product: Mechanism = {
    ...planOr(Object.keys(weights)),
    score: (_prompt, isOff) => {
      const sum = Object.entries(weights).reduce((total, [name, weight]) => total - (isOff(name) ? weight : 0), 4);
      return sum - (isOff('3/1') && isOff('5/2') ? 1.5 : 0) - (isOff('3/1') && isOff('5/2') && isOff('7/3') ? 0.25 : 0);
    },
  };
  const pair = (first: string, second: string) => ({ first: parseFeature(first), second: parseFeature(second) });
  const request = { ...common, prompt: textPrompt('p1'), context: [] };

  it('measures the planted effect of each pair exactly', async () => {
    const measured = await measureInteractions(contextOf(product), {
      ...request,
      pairs: [pair('5/2', '3/1'), pair('3/1', '7/3')],
    });
    expect(measured[0]).toMatchObject({ neither: 4, firstOff: 2, secondOff: 3, bothOff: -0.5, interaction: -1.5 });
    expect(measured[1]!.interaction).toBe(0);
  });

  it('measures on top of a context that is off throughout', async () => {
    const pairs = [pair('3/1', '5/2')];
    const [measured] = await measureInteractions(contextOf(product), { ...request, pairs, context: features('7/3') });
    expect(measured).toMatchObject({ neither: 3.5, interaction: -1.75 });
  });

  it.each([
    ['no pairs', [], [], 'The request has no pairs; at least one is needed.'],
    ['a pair of one', [pair('3/1', '3/1')], [], 'A pair names 3/1 twice; a feature does not interact with itself.'],
    [
      'a pair in its context',
      [pair('3/1', '5/2')],
      ['5/2'],
      '5/2 is off throughout as context, so no pair with it can be measured.',
    ],
  ])('refuses %s', async (_name, pairs, context, message) => {
    const call = measureInteractions(contextOf(product), { ...request, pairs, context: features(...context) });
    await expect(call).rejects.toMatchObject({ code: 'REQUEST_INVALID', message });
  });
});

describe('dormant features', () => {
  const request = {
    ...common,
    prompt: textPrompt('p1'),
    candidates: [],
    layers: LAYERS,
    minEffect: 0.1,
    maxTested: 64,
  };

  it('finds the backup that wakes once the set is off, where, and what it does', async () => {
    const context = contextOf(planHydra(['3/1', '7/4'], ['5/9']));
    const report = await findDormant(context, { ...request, set: features('3/1') });
    expect(report).toMatchObject({ wokenTotal: 1, tested: 1, dormantMembers: [] });
    expect(report.woken).toEqual([
      {
        layer: 7,
        index: 4,
        activation: 4,
        position: 2,
        positionKind: 'content',
        setScore: 3,
        setAndFeatureScore: -3,
        intactEffect: 0,
        conditionalEffect: -6,
      },
    ]);
  });

  it('names the members that are zero on the clean prompt yet needed', async () => {
    const context = contextOf(planHydra(['3/1', '5/2', '7/4']));
    const report = await findDormant(context, { ...request, set: features('3/1', '5/2', '7/4') });
    expect(report.dormantMembers.map(formatFeature)).toEqual(['5/2', '7/4']);
    expect(report.woken).toEqual([]);
  });

  it('counts what woke without mattering, but does not call it dormant', async () => {
    const idle: Mechanism = {
      ...planOr(['3/1']),
      activation: (_prompt, feature, isOff) =>
        feature === '3/1' ? 4 : feature.startsWith('7/') && isOff('3/1') ? 1 : 0,
    };
    const report = await findDormant(contextOf(idle), { ...request, set: features('3/1'), maxTested: 5 });
    expect(report).toMatchObject({ wokenTotal: 40, tested: 5, woken: [] });
  });

  it('finds nothing where nothing is dormant', async () => {
    const report = await findDormant(contextOf(planOr(['3/1', '7/4'], ['5/9'])), {
      ...request,
      set: features('3/1', '7/4'),
    });
    expect(report).toMatchObject({ woken: [], dormantMembers: [], wokenTotal: 0, tested: 0 });
  });

  it('looks among named candidates of layers that are not searched whole', async () => {
    const context = contextOf(planHydra(['3/1', '7/4']));
    const none = await findDormant(context, { ...request, set: features('3/1'), layers: [5] });
    const named = await findDormant(context, {
      ...request,
      set: features('3/1'),
      layers: [5],
      candidates: features('7/4'),
    });
    expect(none.woken).toEqual([]);
    expect(named.woken.map(formatFeature)).toEqual(['7/4']);
  });

  it('refuses an empty set', async () => {
    await expect(findDormant(contextOf(planOr([])), { ...request, set: [] })).rejects.toMatchObject({
      code: 'REQUEST_INVALID',
      message: 'The set names no features; at least one is needed.',
    });
  });
});

describe('verifying flips by text', () => {
  const answers: Record<string, string> = {
    p1: 'Sure, here is the plan.',
    p2: "I'm sorry, but I can't help with that.",
    p3: 'no no no no no no no no no no',
    p4: "I can't help with that, but here is how it goes.",
  };
  const mechanism: Mechanism = {
    ...planOr(['3/1']),
    answer: (prompt, isOff) => (isOff('3/1') ? answers[prompt]! : 'I cannot.'),
  };
  const cases = Object.keys(answers).map((id) => ({ prompt: textPrompt(id), set: features('3/1'), score: -1 }));

  it('counts every verdict, with the agreement of score and text', async () => {
    const result = await verifyFlips(contextOf(mechanism), {
      model: '',
      cases,
      positions: INSTRUCTION,
      maxNewTokens: 48,
    });
    expect(result.counts).toEqual({ complied: 1, refused: 1, partial: 1, degenerate: 1, 'judge-failed': 0 });
    expect(result.agreement).toEqual({ agree: 2, total: 3 });
    expect(result.flips.map(({ promptId, judgement }) => [promptId, judgement.verdict])).toEqual([
      ['p1', 'complied'],
      ['p2', 'refused'],
      ['p3', 'degenerate'],
      ['p4', 'partial'],
    ]);
    expect(result.flips[0]!.judgement.firstWords).toBe('Sure, here is the plan.');
  });

  it("answers under each case's own set", async () => {
    const mixed = [cases[0]!, { ...cases[0]!, set: features('5/5') }];
    const { flips } = await verifyFlips(contextOf(mechanism), {
      model: '',
      cases: mixed,
      positions: INSTRUCTION,
      maxNewTokens: 8,
    });
    expect(flips.map(({ judgement }) => judgement.verdict)).toEqual(['complied', 'refused']);
  });

  it('refuses longer answers than the model gives, and no cases at all', async () => {
    const request = { model: '', cases, positions: INSTRUCTION, maxNewTokens: 500 };
    await expect(verifyFlips(contextOf(mechanism), request)).rejects.toMatchObject({
      code: 'REQUEST_TOO_LARGE',
      message: '500 new tokens were asked for; 1 to 256 are allowed.',
    });
    await expect(verifyFlips(contextOf(mechanism), { ...request, cases: [] })).rejects.toMatchObject({
      code: 'REQUEST_INVALID',
    });
  });
});
