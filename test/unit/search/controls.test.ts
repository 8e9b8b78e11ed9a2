import { describe, expect, it } from 'vitest';
import { rotateBank, rotateRows } from '../../../services/search/stages/random-rotation.js';
import { type RunControlsRequest, runControls } from '../../../services/search/stages/run-controls.js';
import { createSeededRandom } from '../../../shared/random/seeded-random.js';
import { parseFeature } from '../../../shared/tensors/feature-name.js';
import {
  createPlantedContext,
  INSTRUCTION,
  type Mechanism,
  PLANTED_WIDTH,
  planOr,
  SCORE_SPEC,
  textPrompt,
} from './planted-model.js';

const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);
const rowsOf = ({ data, rows, cols }: { data: Float32Array; rows: number; cols: number }) =>
  Array.from({ length: rows }, (_, row) => data.subarray(row * cols, (row + 1) * cols));

describe('random rotation', () => {
  const random = createSeededRandom(4);
  const data = Float32Array.from({ length: 5 * 32 }, random.normal);
  // The last row lies in the span of the first two.
  for (let i = 0; i < 32; i++) data[4 * 32 + i] = data[i]! - 2 * data[32 + i]!;
  const original = { rows: 5, cols: 32, data };

  it('keeps every length and every angle, so that any sum of rows keeps its norm', () => {
    const before = rowsOf(original);
    const after = rowsOf(rotateRows(original, random.fork('a')));
    for (const [i, a] of before.entries())
      for (const [j, b] of before.entries()) expect(dot(after[i]!, after[j]!)).toBeCloseTo(dot(a, b), 3);
  });

  it('turns the rows somewhere else, and elsewhere with another seed', () => {
    const [first, other] = ['a', 'b'].map((name) => rowsOf(rotateRows(original, random.fork(name)))[0]!);
    const norm = dot(data.subarray(0, 32), data.subarray(0, 32));
    expect(Math.abs(dot(first!, data.subarray(0, 32))) / norm).toBeLessThan(0.7);
    expect(first).not.toEqual(other);
    expect(rowsOf(rotateRows(original, random.fork('a')))[0]).toEqual(first);
  });

  it('leaves what a bank reads as it was', async () => {
    const context = createPlantedContext({ layers: [3, 5], mechanism: planOr([]) });
    const bank = await context.saes.ablations(['3/1', '3/2', '5/4'].map(parseFeature), INSTRUCTION, context.signal);
    const rotated = rotateBank(bank, 2, random);
    expect(rotated.on.map((edits) => edits.map((edit) => rotated.bank.names[edit]))).toEqual([
      ['random.0.3/1', 'random.0.3/2', 'random.0.5/4'],
      ['random.1.3/1', 'random.1.3/2', 'random.1.5/4'],
    ]);
    for (const edits of rotated.bank.layers) {
      const own = bank.layers.find(({ layer }) => layer === edits.layer)!;
      expect(edits.read).toEqual(own.read);
      expect(edits.write.data).not.toEqual(own.write.data);
    }
  });
});

describe('controls', () => {
  const DECOYS = ['3/10', '3/11', '5/12', '5/13', '5/14'];
  const mechanism: Mechanism = planOr(['3/1', '5/2'], DECOYS);
  const request = (overrides: Partial<RunControlsRequest> = {}): RunControlsRequest => ({
    model: '',
    cases: ['p1', 'p2'].map((id) => ({ prompt: textPrompt(id), set: ['3/1', '5/2'].map(parseFeature), score: -3 })),
    score: SCORE_SPEC,
    positions: INSTRUCTION,
    draws: 4,
    seed: 1,
    layers: [],
    direction: undefined,
    known: [],
    ...overrides,
  });
  const run = async (overrides: Partial<RunControlsRequest> = {}, planted = mechanism) => {
    const context = createPlantedContext({ layers: [3, 5, 7], mechanism: planted });
    return { context, controls: await runControls(context, request(overrides)) };
  };

  it('draws as many features as the set has, at its own layers, and never its members', async () => {
    const { context, controls } = await run();
    const drawn = context.model.asked.map((asked) => asked.split(':')[1]!.split('+')).filter(([first]) => first !== '');
    const features = drawn.filter(([first]) => !first!.startsWith('random.'));
    for (const names of features) {
      expect(names).toHaveLength(2);
      expect(names).not.toContain('3/1');
      expect(names).not.toContain('5/2');
    }
    expect(controls.randomFeatures).toMatchObject({ flips: 0, total: 8 });
    expect(controls.randomActiveFeatures).toEqual({ flips: 0, total: 8, meanScoreChange: 0, didNotAct: 0 });
  });

  it('counts draws that changed nothing in the total, not as flips', async () => {
    const broken: Mechanism = { ...mechanism, score: (_prompt, isOff) => (isOff('3/1') ? -3 : -0.5) };
    const { controls } = await run({}, broken);
    expect(controls.randomFeatures.didNotAct).toBeGreaterThan(0);
    expect(controls.randomFeatures.flips + controls.randomFeatures.didNotAct).toBe(controls.randomFeatures.total);
  });

  it('counts flips where any active feature flips', async () => {
    const fragile: Mechanism = {
      ...mechanism,
      score: (_prompt, isOff) => (DECOYS.some((decoy) => isOff(decoy)) ? -1 : 3),
    };
    const { controls } = await run({}, fragile);
    expect(controls.randomActiveFeatures).toMatchObject({ flips: 8, total: 8, meanScoreChange: -4 });
  });

  it('draws active features from the layers it is given', async () => {
    const elsewhere: Mechanism = {
      ...planOr(['3/1', '5/2'], ['7/30', '7/31']),
      score: (_p, isOff) => (isOff('7/30') && isOff('7/31') ? -1 : 3),
    };
    const { controls } = await run({ layers: [7] }, elsewhere);
    expect(controls.randomActiveFeatures).toMatchObject({ flips: 8, total: 8 });
  });

  it('ablates the direction once a case, and leaves that arm out without one', async () => {
    const vector = Float32Array.from({ length: PLANTED_WIDTH }, (_, i) => (i === 0 ? 1 : 0));
    const { controls } = await run({ direction: { layer: 3, position: -1, vector, rawNorm: 2 } });
    expect(controls.directionAblation).toMatchObject({ total: 2, flips: 0 });
    expect((await run()).controls.directionAblation).toBeUndefined();
  });

  it('repeats itself with a seed, and draws otherwise with another', async () => {
    const asked = async (seed: number) =>
      (await run({ seed })).context.model.asked.filter((mask) => !mask.includes('random')).sort();
    expect(await asked(1)).toEqual(await asked(1));
    expect(await asked(1)).not.toEqual(await asked(2));
  });

  it.each([
    [
      'an empty set',
      [{ prompt: textPrompt('p1'), set: [], score: -1 }],
      'The set of prompt p1 names no features; at least one is needed.',
    ],
    ['no cases', [], 'The request has no prompts; at least one is needed.'],
  ])('refuses %s', async (_name, cases, message) => {
    await expect(run({ cases })).rejects.toMatchObject({ code: 'REQUEST_INVALID', message });
  });
});
