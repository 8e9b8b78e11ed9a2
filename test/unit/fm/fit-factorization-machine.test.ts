import { describe, expect, it } from 'vitest';
import type { ModelName } from '../../../services/fm/choose-model.js';
import { evaluateOnSplit } from '../../../services/fm/evaluate-fit.js';
import { asSurrogate, predict } from '../../../services/fm/factorization-machine.js';
import { takePart } from '../../../services/fm/fit-data.js';
import { fitFactorizationMachine } from '../../../services/fm/fit-factorization-machine.js';
import { PRESETS } from '../../../services/fm/fit-options.js';
import { type FitReport, fitWithBaseline } from '../../../services/fm/fit-with-baseline.js';
import { rankInteractions } from '../../../services/fm/rank-interactions.js';
import { splitRows } from '../../../services/fm/split-rows.js';
import { type FitProgress, runSteps, runStepsNow } from '../../../services/fm/steps.js';
import { createSeededRandom } from '../../../shared/random/seeded-random.js';
import { drawData, plantPairs, recall } from './planted.js';

const topPairs = (data: Parameters<typeof fitFactorizationMachine>[0], options = {}, limit = 8) => {
  const { machine } = runStepsNow(fitFactorizationMachine(data, options));
  return runStepsNow(rankInteractions(asSurrogate(machine), { limit }));
};

/** Labels by the sign of one product of sparse activations: no linear model can tell them apart. */
const labelData = (rows: number, seed: number) => {
  const random = createSeededRandom(seed);
  const values = Float32Array.from({ length: rows * 12 }, () => (random.uniform() < 0.7 ? random.normal() : 0));
  const target = Float64Array.from({ length: rows }, (_, r) => (values[r * 12 + 2]! * values[r * 12 + 7]! > 0 ? 1 : 0));
  const design = { rows, columns: 12, values };
  return { design, target, loss: 'logistic' as const, split: splitRows(rows, { seed }) };
};

const heldOut = ({ models }: FitReport, name: ModelName) => models.find((model) => model.name === name)!.quality.test;

describe('fit of a factorization machine on masks', () => {
  it.each([1, 2, 3, 4, 5])('finds every planted pair and its sign, seed %i', (seed) => {
    const planted = plantPairs(30, 6, seed);
    expect(recall(planted, topPairs(drawData(planted, 30, 400, seed, 0.1), { seed }))).toBe(1);
  });

  it('gives the size of each planted interaction in the unit of the score', () => {
    const planted = plantPairs(20, 4, 9);
    const top = topPairs(drawData(planted, 20, 512, 9, 0), {}, 4);
    for (const [i, j, size] of planted.pairs) {
      const found = top.find((pair) => pair.first === i && pair.second === j);
      expect(found?.effect).toBeCloseTo(size, 1);
    }
  });

  it('finds nothing of size where scores are additive, though one pair is always on top', () => {
    const planted = { ...plantPairs(20, 0, 4) };
    const top = topPairs(drawData(planted, 20, 400, 4, 0.1), {}, 1);
    expect(Math.abs(top[0]?.effect ?? 0)).toBeLessThan(0.1);
  });

  it.each(['random', 'grown'] as const)('explains held-out rows from a %s start alone', (start) => {
    const data = drawData(plantPairs(20, 4, 2), 20, 1024, 2, 0.1);
    const { machine } = runStepsNow(fitFactorizationMachine(data, { start }));
    expect(evaluateOnSplit(asSurrogate(machine), data).test.r2).toBeGreaterThan(0.95);
  });

  it('beats the linear model on the same held-out rows, and says so beside it', () => {
    const { design, target } = drawData(plantPairs(30, 6, 3), 30, 400, 3, 0.1);
    const report = runStepsNow(fitWithBaseline({ design, target, loss: 'squared' }));
    expect(heldOut(report, 'factorization-machine').r2).toBeGreaterThan(0.95);
    expect(heldOut(report, 'linear').r2).toBeLessThan(0.8);
    expect(heldOut(report, 'all-pairs').r2).toBeGreaterThan(0.9);
    expect(heldOut(report, 'factorization-machine').rows).toBe(60);
  });

  it('is the same to the last bit for the same seed, and another for another seed', () => {
    const data = drawData(plantPairs(20, 4, 5), 20, 300, 5, 0.3);
    const fitOf = (seed: number) => runStepsNow(fitFactorizationMachine(data, { seed, start: 'random' })).machine;
    expect(fitOf(1)).toEqual(fitOf(1));
    expect(fitOf(1).factors).not.toEqual(fitOf(2).factors);
  });

  it('names features that never varied and gives them no weight', () => {
    const data = drawData(plantPairs(12, 2, 6), 12, 200, 6, 0.1);
    for (let row = 0; row < 200; row++) data.design.values[row * 12 + 5] = 1;
    const { machine, constantFeatures } = runStepsNow(fitFactorizationMachine(data));
    expect(constantFeatures).toEqual([5]);
    expect(machine.weights[5]).toBe(0);
  });

  it('goes on to the minimum of a named penalty: errors are orthogonal to every unpenalised column', () => {
    const data = drawData(plantPairs(12, 3, 8), 12, 300, 8, 0.3);
    const options = { l2Linear: 0, l2Factors: 0.01, start: 'random', refit: false, epochs: 5000 } as const;
    const { machine, epochs } = runStepsNow(fitFactorizationMachine(data, options));
    expect(epochs).toBeGreaterThan(20);
    const { design, target } = takePart(data, data.split.train);
    const errors = predict(machine, design).map((y, row) => target[row]! - y);
    for (let k = 0; k < 12; k++) {
      const overlap = errors.reduce((sum, e, row) => sum + e * (design.values[row * 12 + k]! - 0.5), 0) / errors.length;
      expect(Math.abs(overlap)).toBeLessThan(1e-3);
    }
  });

  it('follows the penalties that it is given: a huge one leaves no interaction', () => {
    const data = drawData(plantPairs(12, 2, 6), 12, 200, 6, 0.1);
    const fit = runStepsNow(fitFactorizationMachine(data, { l2Factors: 1000, l2Linear: 0.01 }));
    expect(fit.penalties).toEqual({ l2Linear: 0.01, l2Factors: 1000, l1Factors: 0 });
    expect(Math.max(...fit.machine.factors.map(Math.abs))).toBeLessThan(1e-3);
  });
});

describe('fit of a factorization machine on labels', () => {
  it('learns a product of two features that logistic regression cannot', () => {
    const { design, target } = labelData(1500, 1);
    const report = runStepsNow(fitWithBaseline({ design, target, loss: 'logistic', preset: 'labels' }));
    const { accuracy, majorityShare } = heldOut(report, 'linear');
    expect(accuracy).toBeLessThan(majorityShare! + 0.02);
    expect(heldOut(report, 'factorization-machine').accuracy).toBeGreaterThan(majorityShare! + 0.08);
    expect(report.interactions[0]).toMatchObject({ first: 2, second: 7 });
    expect(report.interactions[0]!.effect).toBeGreaterThan(0);
  });

  it('runs exactly the 20 epochs of the paper at rank 20 under the preset', () => {
    const epochs: number[] = [];
    const steps = fitFactorizationMachine(labelData(200, 2), {}, 'paper');
    let step = steps.next();
    for (; !step.done; step = steps.next()) if (step.value) epochs.push(step.value.epoch);
    expect(epochs).toEqual(Array.from({ length: 20 }, (_, e) => e + 1));
    expect(step.value.options).toMatchObject({ rank: 20, learningRate: 1e-3, epochs: 20 });
    expect(step.value.machine.rank).toBe(PRESETS.paper.rank);
  });

  it('stops early once the validation loss gets worse', () => {
    const fit = runStepsNow(
      fitFactorizationMachine(labelData(60, 3), { epochs: 5000, patience: 5, l2Factors: 0, l2Linear: 0 }),
    );
    expect(fit.epochs).toBeLessThan(2000);
  });
});

describe('a fit in the event loop', () => {
  const data = drawData(plantPairs(100, 6, 3), 100, 2000, 3, 0.1);

  it('is cut in pieces of less than 50 ms of processor time each', () => {
    const steps = fitFactorizationMachine(data, { start: 'random', epochs: 3 });
    const pieces: number[] = [];
    for (let done = false; !done; ) {
      // Processor time, not the clock: other processes on the machine must not decide this test.
      const before = process.cpuUsage();
      done = steps.next().done === true;
      pieces.push(process.cpuUsage(before).user / 1000);
    }
    expect(pieces.length).toBeGreaterThan(100);
    expect(Math.max(...pieces)).toBeLessThan(50);
  });

  it('lets timers run meanwhile, and tells its progress', async () => {
    const told: FitProgress[] = [];
    let ticks = 0;
    const timer = setInterval(() => ticks++, 5);
    await runSteps(fitFactorizationMachine(data, { start: 'random', epochs: 3 }), { onProgress: (p) => told.push(p) });
    clearInterval(timer);
    expect(ticks).toBeGreaterThan(10);
    expect(told.at(-1)).toMatchObject({ model: 'factorization machine', validationLoss: expect.any(Number) });
  });

  it('ends with CANCELLED soon after the signal', async () => {
    const controller = new AbortController();
    const started = performance.now();
    setTimeout(() => controller.abort(), 50);
    await expect(runSteps(fitFactorizationMachine(data), { signal: controller.signal })).rejects.toMatchObject({
      code: 'CANCELLED',
      message: 'the fit was cancelled by the caller',
    });
    expect(performance.now() - started).toBeLessThan(5000);
  });
});
