import { describe, expect, it } from 'vitest';
import { createGreedyFilter } from '../../../services/search/filter/greedy.js';
import { createGroupFilter } from '../../../services/search/filter/group.js';
import { type FilterPromptRequest, filterPrompt } from '../../../services/search/stages/filter-prompt.js';
import { formatFeature } from '../../../shared/tensors/feature-name.js';
import {
  createPlantedContext,
  INSTRUCTION,
  type Mechanism,
  PLANTED_WIDTH,
  planHydra,
  planOr,
  SCORE_SPEC,
  textPrompt,
} from './planted-model.js';

const LAYERS = [3, 5, 7];
const DECOYS = ['3/20', '3/21', '5/22', '7/23'];
const unit = Float32Array.from({ length: PLANTED_WIDTH }, (_, i) => (i === 0 ? 1 : 0));

const request = (overrides: Partial<FilterPromptRequest> = {}): FilterPromptRequest => ({
  model: 'planted',
  prompt: textPrompt('p1'),
  score: SCORE_SPEC,
  directions: LAYERS.map((layer) => ({ layer, vector: unit })),
  growth: [10, 20],
  positions: INSTRUCTION,
  filter: createGroupFilter(),
  known: [],
  ...overrides,
});

const contextOf = (mechanism: Mechanism) => createPlantedContext({ layers: LAYERS, mechanism });

describe('stage 2 on a planted model', () => {
  it('finds the planted set with its evidence', async () => {
    const context = contextOf(planOr(['3/1', '7/4'], DECOYS));
    const set = await filterPrompt(context, request());
    expect(set.members.map(formatFeature)).toEqual(['3/1', '7/4']);
    expect(set).toMatchObject({ outcome: 'found', oneMinimal: true, candidatesPerLayer: 10, tried: [10] });
    expect(set).toMatchObject({ cleanScore: 3, allOffScore: -3, setScore: -3, promptId: 'p1' });
    expect(set.members[0]).toMatchObject({ cosine: 0.5, cleanActivation: 4, restoredScore: 3, aloneScore: 3 });
    expect(set.proof).toHaveLength(1);
  });

  it('has evaluated every single restoration of the set it certifies', async () => {
    const context = contextOf(planOr(['3/1', '5/2', '7/4'], DECOYS));
    const { members } = await filterPrompt(context, request());
    const names = members.map(formatFeature);
    for (const member of names) {
      const rest = names.filter((name) => name !== member).sort();
      expect(context.model.asked).toContain(`p1:${rest.join('+')}`);
    }
  });

  it('grows K until all off flips, and says what it tried', async () => {
    const mechanism = planOr(['3/1', '7/4']);
    const rare: Mechanism = {
      ...mechanism,
      cosine: (feature) => (feature === '7/4' ? 0.05 : mechanism.cosine(feature)),
    };
    const set = await filterPrompt(contextOf(rare), request({ growth: [5, 10, 40] }));
    expect(set).toMatchObject({ outcome: 'found', candidatesPerLayer: 40, tried: [5, 10, 40] });
    expect(set.path.slice(0, 3).map(({ action, flipped }) => [action, flipped])).toEqual([
      ['all off, 5 a layer', false],
      ['all off, 10 a layer', false],
      ['all off, 40 a layer', true],
    ]);
  });

  it('reports a prompt that nothing flips, without growing past what the SAEs have', async () => {
    const stubborn: Mechanism = { ...planOr(['3/1']), score: () => 2.5 };
    const set = await filterPrompt(contextOf(stubborn), request({ growth: [10, 40, 100] }));
    expect(set).toMatchObject({ outcome: 'no-flip', tried: [10, 40], members: [], setScore: 2.5, oneMinimal: false });
  });

  it('leaves a prompt alone that is not refused, at the price of one evaluation', async () => {
    const context = contextOf({ ...planOr(['3/1']), score: () => -0.5 });
    expect(await filterPrompt(context, request())).toMatchObject({
      outcome: 'not-refused',
      evaluations: 1,
      cleanScore: -0.5,
    });
    expect(context.model.asked).toEqual(['p1:']);
  });

  it('finds dormant members: zero on the clean prompt, yet needed', async () => {
    const set = await filterPrompt(contextOf(planHydra(['3/1', '5/2', '7/4'], DECOYS)), request());
    expect(set.members.map((member) => [formatFeature(member), member.cleanActivation])).toEqual([
      ['3/1', 4],
      ['5/2', 0],
      ['7/4', 0],
    ]);
    expect(set.oneMinimal).toBe(true);
  });

  it('goes on where a killed run stopped, with the same result and nothing asked twice', async () => {
    const mechanism = planOr(['3/1', '5/2', '7/4'], DECOYS);
    const whole = contextOf(mechanism);
    const expected = await filterPrompt(whole, request());
    const known = whole.records.slice(0, Math.floor(whole.records.length / 2));
    const resumed = contextOf(mechanism);
    const set = await filterPrompt(resumed, request({ known }));
    expect({ ...set, evaluationsReused: 0 }).toEqual({ ...expected, evaluationsReused: 0 });
    expect(resumed.model.asked.length).toBe(whole.records.length - known.length);
  });

  it('needs at most a third of plain greedy for the same set', async () => {
    const mechanism = planOr(['3/1', '7/4'], DECOYS);
    const ours = await filterPrompt(contextOf(mechanism), request({ growth: [20] }));
    const theirs = await filterPrompt(contextOf(mechanism), request({ growth: [20], filter: createGreedyFilter() }));
    expect(ours.members).toEqual(theirs.members);
    expect(ours.evaluations).toBeLessThanOrEqual(theirs.evaluations / 3);
  });

  it.each([
    ['an unknown model', { model: 'other' }, 'MODEL_UNKNOWN', 'planted is served here, not other'],
    [
      'no openers',
      { score: { ...SCORE_SPEC, openers: [] } },
      'REQUEST_INVALID',
      'The score has 0 openers; 1 to 64 are allowed. Calibrate first.',
    ],
    ['no directions', { directions: [] }, 'REQUEST_INVALID', 'The request has no directions; one a layer is needed.'],
    [
      'a layer without an SAE',
      { directions: [{ layer: 4, vector: unit }] },
      'SAE_UNKNOWN',
      'Layer 4 has no SAE; there are SAEs for layers 3, 5, 7.',
    ],
    [
      'a zero direction',
      { directions: [{ layer: 3, vector: new Float32Array(4) }] },
      'REQUEST_INVALID',
      'The direction of layer 3 is the zero vector, which points nowhere.',
    ],
    [
      'a growth that falls',
      { growth: [20, 10] },
      'REQUEST_INVALID',
      'The growth is 20, 10; it must be ascending whole numbers from 1 to 65536.',
    ],
  ])('refuses %s', async (_name, overrides, code, message) => {
    await expect(filterPrompt(contextOf(planOr(['3/1'])), request(overrides))).rejects.toMatchObject({ code, message });
  });

  it('names the prompt whose score is no number', async () => {
    const broken: Mechanism = { ...planOr(['3/1']), score: (_prompt, isOff) => (isOff('3/1') ? Number.NaN : 3) };
    await expect(filterPrompt(contextOf(broken), request())).rejects.toMatchObject({
      code: 'NOT_FINITE',
      message: expect.stringContaining('The refusal score of prompt p1 is NaN'),
    });
  });
});
