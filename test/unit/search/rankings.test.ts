import { describe, expect, it } from 'vitest';
import type { EvaluationRecord } from '../../../services/search/model/evaluator.js';
import { type MeasureRankingsRequest, measureRankings } from '../../../services/search/stages/measure-rankings.js';
import { type RankFeaturesRequest, rankFeatures } from '../../../services/search/stages/rank-features.js';
import { formatFeature, parseFeature } from '../../../shared/tensors/feature-name.js';
import {
  createPlantedContext,
  INSTRUCTION,
  type Mechanism,
  PLANTED_WIDTH,
  planOr,
  SCORE_SPEC,
  textPrompt,
} from './planted-model.js';

const LAYERS = [3, 5, 7];
const features = (...names: string[]) => names.map(parseFeature);
const contextOf = (mechanism: Mechanism) => createPlantedContext({ layers: LAYERS, mechanism });

describe('ranking features', () => {
  // 3/1 marks harm, 5/2 harmlessness, 7/3 is on everywhere, 7/4 marks harm weakly, 5/9 has the cosine and nothing else.
  const mechanism: Mechanism = {
    score: () => 1,
    activation: (prompt, feature) => {
      const harmful = prompt.startsWith('h');
      if (feature === '3/1') return harmful ? 4 : 0;
      if (feature === '5/2') return harmful ? 0 : 3;
      if (feature === '7/4') return harmful ? 1.5 : 1;
      return feature === '7/3' ? 9 : 0;
    },
    cosine: (feature) => ({ '5/9': 0.9, '3/1': 0.4, '7/8': -0.2 })[feature] ?? 0,
  };
  const request: RankFeaturesRequest = {
    model: '',
    prompts: ['h1', 'h2', 'b1', 'b2'].map((id) => ({
      prompt: textPrompt(id),
      label: id.startsWith('h') ? 'harmful' : 'harmless',
    })),
    directions: LAYERS.map((layer) => ({ layer, vector: Float32Array.of(1, 0) })),
    positions: INSTRUCTION,
    count: 10,
  };

  it('puts all layers in one order, with what speaks for harm alone', async () => {
    const ranked = await rankFeatures(contextOf(mechanism), request);
    const named = (list: typeof ranked.cosine) => list.map(({ value, ...feature }) => [formatFeature(feature), value]);
    expect(named(ranked.cosine)).toEqual([
      ['5/9', 0.9],
      ['3/1', 0.4],
    ]);
    expect(named(ranked.activationDifference)).toEqual([
      ['3/1', 4],
      ['7/4', 0.5],
    ]);
    // Both tell the labels apart without fail; one standard deviation of either says the same.
    expect(ranked.probeWeight.map(formatFeature)).toEqual(['3/1', '7/4']);
    expect(ranked.probeWeight[0]!.value).toBeCloseTo(ranked.probeWeight[1]!.value, 9);
    expect(ranked.probe).toEqual({ right: 4, total: 4 });
  });

  it('takes no more than asked, of the layers asked', async () => {
    const ranked = await rankFeatures(contextOf(mechanism), { ...request, count: 1 });
    expect(ranked.cosine.map(formatFeature)).toEqual(['5/9']);
    const late = await rankFeatures(contextOf(mechanism), { ...request, directions: request.directions.slice(2) });
    expect(late.activationDifference.map(formatFeature)).toEqual(['7/4']);
  });

  it('reads the instruction where only the answer is edited', async () => {
    const positions = { ...INSTRUCTION, span: 'answer' as const };
    const ranked = await rankFeatures(contextOf(mechanism), { ...request, positions });
    expect(ranked.activationDifference.map(formatFeature)).toEqual(['3/1', '7/4']);
  });

  it.each([
    ['one label', ['h1', 'h2'], 'REQUEST_INVALID'],
    ['too many prompts', Array.from({ length: 257 }, (_, i) => `${i === 0 ? 'b' : 'h'}${i}`), 'REQUEST_TOO_LARGE'],
  ])('refuses %s', async (_name, ids, code) => {
    const prompts = ids.map((id) => ({
      prompt: textPrompt(id),
      label: id.startsWith('h') ? ('harmful' as const) : ('harmless' as const),
    }));
    await expect(rankFeatures(contextOf(mechanism), { ...request, prompts })).rejects.toMatchObject({ code });
  });
});

describe('measuring rankings', () => {
  const DECOYS = ['3/10', '5/12', '5/13', '7/20'];
  const mechanism = planOr(['3/1', '5/2'], DECOYS);
  const request: MeasureRankingsRequest = {
    model: '',
    prompts: ['p1', 'p2', 'p3'].map(textPrompt),
    score: SCORE_SPEC,
    positions: INSTRUCTION,
    rankings: [
      { name: 'good', features: features('5/2', '3/1', '3/10') },
      { name: 'bad', features: features('3/10', '5/12', '3/1', '5/13', '5/2') },
      { name: 'idle', features: features('3/30', '3/31') },
    ],
    counts: [1, 2, 3, 5],
    randomLayers: [],
    seed: 4,
    direction: undefined,
    known: [] as EvaluationRecord[],
  };

  it('counts flips by how many features are off, as far as each ranking goes', async () => {
    const context = contextOf(mechanism);
    const { rankings, randomActive, directionAblation } = await measureRankings(context, request);
    const flips = rankings.map(({ name, points }) => [name, points.map(({ features, arm }) => [features, arm.flips])]);
    expect(flips).toEqual([
      [
        'good',
        [
          [1, 0],
          [2, 3],
          [3, 3],
        ],
      ],
      [
        'bad',
        [
          [1, 0],
          [2, 0],
          [3, 0],
          [5, 3],
        ],
      ],
      [
        'idle',
        [
          [1, 0],
          [2, 0],
        ],
      ],
    ]);
    expect(rankings[0]!.points[1]!.arm).toEqual({ flips: 3, total: 3, meanScoreChange: -6, didNotAct: 0 });
    expect(rankings[2]!.points[0]!.arm).toEqual({ flips: 0, total: 3, meanScoreChange: 0, didNotAct: 3 });
    expect(randomActive).toEqual([]);
    expect(directionAblation).toBeUndefined();
  });

  it('ends a short ranking with all of its features', async () => {
    const rankings = [{ name: 'short', features: features('5/2', '3/1', '3/10', '5/12') }];
    const measured = await measureRankings(contextOf(mechanism), { ...request, rankings });
    expect(measured.rankings[0]!.points.map(({ features, arm }) => [features, arm.flips])).toEqual([
      [1, 0],
      [2, 3],
      [3, 3],
      [4, 3],
    ]);
  });

  it('takes active features in an order of their own a prompt, the same for the same seed', async () => {
    const run = async (seed: number) => {
      const context = contextOf(mechanism);
      const measured = await measureRankings(context, { ...request, rankings: [], randomLayers: LAYERS, seed });
      return { measured, asked: context.model.asked.filter((asked) => !asked.endsWith(':')) };
    };
    const { measured, asked } = await run(4);
    // Six are active: 5 is the largest count there are enough for.
    expect(measured.randomActive.map(({ features, arm }) => [features, arm.total])).toEqual([
      [1, 3],
      [2, 3],
      [3, 3],
      [5, 3],
    ]);
    const active = new Set(['3/1', '5/2', ...DECOYS]);
    for (const name of asked.flatMap((one) => one.split(':')[1]!.split('+'))) expect(active).toContain(name);
    expect((await run(4)).asked).toEqual(asked);
    expect((await run(5)).asked).not.toEqual(asked);
  });

  it('leaves a prompt with too few active features out of the total', async () => {
    const some: Mechanism = { ...mechanism, activation: (prompt, name) => (prompt === 'p1' || name === '3/1' ? 2 : 0) };
    const measured = await measureRankings(contextOf(some), { ...request, rankings: [], randomLayers: [3] });
    expect(measured.randomActive.map(({ features, arm }) => [features, arm.total])).toEqual([
      [1, 3],
      [2, 1],
      [3, 1],
      [5, 1],
    ]);
  });

  it('ablates the direction once a prompt, and asks nothing that is known', async () => {
    const vector = Float32Array.from({ length: PLANTED_WIDTH }, (_, i) => (i === 0 ? 1 : 0));
    const direction = { layer: 3, position: -1, vector, rawNorm: 2 };
    const first = contextOf(mechanism);
    const measured = await measureRankings(first, { ...request, direction, randomLayers: LAYERS });
    expect(measured.directionAblation).toMatchObject({ total: 3, flips: 0 });
    const again = contextOf(mechanism);
    const repeated = await measureRankings(again, {
      ...request,
      direction,
      randomLayers: LAYERS,
      known: first.records,
    });
    expect(repeated).toEqual(measured);
    expect(again.model.asked).toEqual([]);
  });

  it.each([
    ['no counts', { counts: [] }, 'The counts are none; they must be 1 to 64 ascending whole numbers above 0.'],
    [
      'falling counts',
      { counts: [2, 1] },
      'The counts are 2, 1; they must be 1 to 64 ascending whole numbers above 0.',
    ],
    [
      'a feature twice',
      { rankings: [{ name: 'x', features: features('3/1', '3/1') }] },
      'The ranking x names feature 3/1 twice; each may stand once.',
    ],
  ])('refuses %s', async (_name, change, message) => {
    await expect(measureRankings(contextOf(mechanism), { ...request, ...change })).rejects.toMatchObject({
      code: 'REQUEST_INVALID',
      message,
    });
  });
});
