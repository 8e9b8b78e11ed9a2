import { describe, expect, it } from 'vitest';
import { createMeanDifference } from '../../../services/search/directions/mean-difference.js';
import { planRounds } from '../../../services/search/directions/score-directions.js';
import type { EvaluationRecord } from '../../../services/search/model/evaluator.js';
import { type FindDirectionsRequest, findDirections } from '../../../services/search/stages/find-directions.js';
import { cosineWith, createLinearModel, LINEAR_LAYERS, type LinearOptions, trueDirection } from './linear-model.js';
import { createPlantedSaes, planOr, SCORE_SPEC, textPrompt } from './planted-model.js';

const promptsOf = (harmful: number, harmless: number) => [
  ...Array.from({ length: harmful }, (_, i) => ({ prompt: textPrompt(`h${i}`), label: 'harmful' as const })),
  ...Array.from({ length: harmless }, (_, i) => ({ prompt: textPrompt(`b${i + 1000}`), label: 'harmless' as const })),
];

const request = (overrides: Partial<FindDirectionsRequest> = {}): FindDirectionsRequest => ({
  model: '',
  prompts: promptsOf(24, 24),
  score: SCORE_SPEC,
  heldOutPerLabel: 0,
  positions: [],
  seed: 1,
  known: [],
  budget: 600,
  ...overrides,
});

async function run(overrides: Partial<FindDirectionsRequest> = {}, options: LinearOptions = {}) {
  const model = createLinearModel(options);
  const records: EvaluationRecord[] = [];
  const context = {
    model,
    saes: createPlantedSaes({ layers: [], mechanism: planOr([]) }),
    signal: new AbortController().signal,
    onProgress: () => undefined,
    onEvaluation: (record: EvaluationRecord) => records.push(record),
  };
  const search = await findDirections(context, request(overrides));
  const at = (layer: number, position: number) =>
    search.directions.find(({ direction }) => direction.layer === layer && direction.position === position)!;
  const selected = search.selected === undefined ? undefined : search.directions[search.selected]!.direction;
  return { search, at, selected, evaluations: model.evaluations, records };
}

describe('difference of means', () => {
  it('sums in float64: a difference that float32 sums lose is found', () => {
    const means = createMeanDifference([0], [-1], 2);
    const row = (a: number, b: number) => new Map([[0, { rows: 1, cols: 2, data: Float32Array.of(a, b) }]]);
    for (let i = 0; i < 3000; i++) means.add('harmful', row(30_000.002, 1));
    for (let i = 0; i < 3000; i++) means.add('harmless', row(30_000, 1));
    const [direction] = means.directions();
    const step = Math.fround(30_000.002) - 30_000;
    expect(direction!.rawNorm).toBeCloseTo(step, 9);
    expect([...direction!.vector]).toEqual([1, 0]);
  });
});

describe('direction search', () => {
  it('selects the planted direction and rejects the others for the right reasons', async () => {
    const { search, at, selected } = await run({ budget: 100_000 });
    expect(selected).toMatchObject({ layer: 4, position: -1 });
    expect(cosineWith(selected!.vector, trueDirection(4, -1))).toBeGreaterThan(0.99999);
    expect(selected!.rawNorm).toBeCloseTo(4, 2);
    expect(at(4, -1)).toMatchObject({ rejected: [] });
    expect(at(4, -1).bypass).toBeCloseTo(-1, 3);
    expect(at(4, -1).induce).toBeCloseTo(-3 + 2 * 4, 1);
    expect(at(6, -1).rejected).toEqual(['kl']);
    expect(at(9, -1).rejected).toEqual(['layer']);
    expect(at(2, -1).rejected).toEqual(['induce']);
    expect(at(2, -1).bypass).toBeCloseTo(3, 3);
    expect(search).toMatchObject({
      fit: { harmful: 18, harmless: 18 },
      heldOut: { harmful: 6, harmless: 6 },
      dropped: 0,
    });
    expect(search.bestByLayer.map((i) => search.directions[i]!.direction.layer)).toEqual([
      ...Array(LINEAR_LAYERS).keys(),
    ]);
    expect(search.directions[search.bestByLayer[7]!]!.direction.position).toBe(-1);
  });

  it('selects the same one on a seventh of the evaluations, and says what it did not score', async () => {
    const full = await run({ prompts: promptsOf(80, 80), budget: 100_000 });
    const staged = await run({ prompts: promptsOf(80, 80), budget: 100 });
    expect(staged.selected).toEqual(full.selected);
    expect(staged.evaluations - 160).toBeLessThan((full.evaluations - 160) / 7);
    const unscored = staged.search.directions.filter(({ kl }) => Number.isNaN(kl));
    expect(unscored).toHaveLength(10);
    for (const { rejected } of unscored) expect(rejected).not.toEqual([]);
    expect(staged.search.bestByLayer).toHaveLength(LINEAR_LAYERS);
  });

  it('leaves out prompts whose label and score disagree', async () => {
    const { search, selected } = await run({}, { contrary: ['h0', 'h1', 'b1003'] });
    expect(search.dropped).toBe(3);
    expect(search.fit.harmful + search.heldOut.harmful).toBe(22);
    expect(selected).toMatchObject({ layer: 4, position: -1 });
  });

  it('rejects directions that are not finite and selects among the rest', async () => {
    const { at, selected } = await run({}, { broken: [4] });
    expect(at(4, -1).rejected).toEqual(['not-finite']);
    expect(at(4, -1).bypass).toBeNaN();
    expect(selected).toMatchObject({ layer: 5, position: -1 });
  });

  it('selects none when all are filtered out', async () => {
    const { search } = await run({ positions: [-2] });
    expect(search.selected).toBeUndefined();
    expect(search.directions.every(({ rejected }) => rejected.length > 0)).toBe(true);
  });

  it('repeats itself with a seed, and splits otherwise with another', async () => {
    const [first, again, other] = [await run({ seed: 3 }), await run({ seed: 3 }), await run({ seed: 4 })];
    expect(again.search).toEqual(first.search);
    expect(other.search.directions[0]!.direction.vector).not.toEqual(first.search.directions[0]!.direction.vector);
  });

  it('asks nothing again that the request knows', async () => {
    const first = await run();
    const again = await run({ known: first.records });
    expect(again.evaluations).toBe(0);
    expect(again.search).toEqual(first.search);
  });

  it.each([
    [
      'a single label',
      { prompts: promptsOf(4, 0) },
      {},
      'REQUEST_INVALID',
      'The prompt set has 4 harmful and 0 harmless prompts; at least 2 of each are needed.',
    ],
    [
      'labels that no score bears out',
      { prompts: promptsOf(2, 2) },
      { contrary: ['h0'] },
      'AUDIT_IMPOSSIBLE',
      'Only 1 harmful prompts are refused and 2 harmless ones answered; a direction needs 2 of each at least.',
    ],
    [
      'more held out than there are',
      { heldOutPerLabel: 24 },
      {},
      'REQUEST_INVALID',
      '24 harmful prompts were to be held out, but only 24 keep their label; one at least must fit the means.',
    ],
    [
      'a position from the start',
      { positions: [0] },
      {},
      'REQUEST_INVALID',
      'Position 0 is not allowed; positions count from the end, -6 to -1 here.',
    ],
    [
      'a position before the prompt',
      { positions: [-7] },
      {},
      'REQUEST_INVALID',
      'Position -7 is not allowed; positions count from the end, -6 to -1 here.',
    ],
  ])('refuses %s', async (_name, overrides, options, code, message) => {
    await expect(run(overrides, options)).rejects.toMatchObject({ code, message });
  });

  it('plans all three scores of all directions when they fit the budget', () => {
    const scoring = { harmful: Array(4), harmless: Array(4), nLayers: 10, budget: 20 * 12 };
    expect(planRounds(scoring, 20)).toEqual({ probePrompts: 4, gated: 20, gatePrompts: 4, finalists: 20 });
    const staged = { probePrompts: 3, gated: 10, gatePrompts: 2, finalists: 1 };
    expect(planRounds({ ...scoring, budget: 100 }, 20)).toEqual(staged);
  });
});
