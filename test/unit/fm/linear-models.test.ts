import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { buildDesign } from '../../../services/fm/design-matrix.js';
import { fitLinearModel } from '../../../services/fm/linear-model.js';
import { asPairwiseSurrogate, buildPairwiseModel } from '../../../services/fm/pairwise-model.js';
import { buildProductColumns, listPairs } from '../../../services/fm/product-columns.js';
import { createLasso, descendLasso } from '../../../services/fm/solve-lasso.js';
import { solveLogistic, solveRidge } from '../../../services/fm/solve-ridge.js';
import { splitRows } from '../../../services/fm/split-rows.js';
import { standardise } from '../../../services/fm/standardise.js';
import { runStepsNow } from '../../../services/fm/steps.js';
import { projectRoot } from '../../../shared/project/root.js';

interface Fixture {
  x: number[][];
  y: number[];
  labels: number[];
  ridge: { l2: number; weights: number[] }[];
  pairRidge: { l2: number; weights: number[] }[];
  logistic: { l2: number; weights: number[] }[];
  lasso: { l1: number; weights: number[] }[];
}
const fixture: Fixture = JSON.parse(readFileSync(join(projectRoot, 'test/fixtures/fm/linear-models.json'), 'utf8'));
const design = buildDesign(fixture.x);
const raw = standardise(design, { means: new Float64Array(6), scales: new Float64Array(6).fill(1) });
const target = Float64Array.from(fixture.y);

const expectClose = (ours: Float64Array, theirs: readonly number[], digits: number) => {
  expect(ours).toHaveLength(theirs.length);
  ours.forEach((w, t) => {
    expect(w).toBeCloseTo(theirs[t]!, digits);
  });
};

describe('linear models against numpy and scikit-learn', () => {
  it.each(fixture.ridge)('ridge is the closed form at l2 $l2', ({ l2, weights }) => {
    expectClose(runStepsNow(solveRidge(buildProductColumns(raw), target, l2)), weights, 8);
  });

  it.each(fixture.pairRidge)('ridge over all pairs is the closed form at l2 $l2', ({ l2, weights }) => {
    expectClose(runStepsNow(solveRidge(buildProductColumns(raw, listPairs(6)), target, l2)), weights, 8);
  });

  it.each(fixture.logistic)('logistic regression is that of scikit-learn at l2 $l2', ({ l2, weights }) => {
    expectClose(
      runStepsNow(solveLogistic(buildProductColumns(raw), Float64Array.from(fixture.labels), l2)),
      weights,
      6,
    );
  });

  it.each(fixture.lasso)('lasso over all pairs is that of scikit-learn at l1 $l1', ({ l1, weights }) => {
    const state = runStepsNow(createLasso(buildProductColumns(raw, listPairs(6)), target));
    runStepsNow(descendLasso(state, l1));
    expectClose(state.weights, weights, 5);
    expect(state.weights.map((w) => (w === 0 ? 0 : 1))).toEqual(Float64Array.from(weights, (w) => (w === 0 ? 0 : 1)));
  });

  it('a warm start does not move the ridge solution', () => {
    const columns = buildProductColumns(raw);
    const start = Float64Array.from({ length: 7 }, (_, t) => 10 - t);
    expectClose(runStepsNow(solveRidge(columns, target, 0.1, start)), fixture.ridge[1]!.weights, 8);
  });

  it('the fitted linear model explains a linear target to a thousandth, and leaves most of a pure product', () => {
    const linear = fixture.x.map((x) => 2 + x[0]! - 3 * x[4]!);
    const data = { design, target: linear, loss: 'squared' as const, split: splitRows(60, { seed: 3 }) };
    const model = runStepsNow(fitLinearModel(data));
    expect(model.intercept).toBeCloseTo(2, 2);
    expect(model.weights[0]).toBeCloseTo(1, 2);
    expect(model.weights[4]).toBeCloseTo(-3, 2);
    expect(model.validationLoss).toBeLessThan(1e-3);
    const product = fixture.x.map((x) => x[1]! * x[2]!);
    expect(runStepsNow(fitLinearModel({ ...data, target: product })).validationLoss).toBeGreaterThan(0.3);
  });

  it('a pairwise model of standardised terms is the same function of raw columns', () => {
    const scaling = { means: Float64Array.of(0.5, -1, 0, 2, 1, 0.1), scales: Float64Array.of(1, 2, 0.5, 1, 3, 1) };
    const terms = Float64Array.from({ length: 22 }, (_, t) => Math.sin(t + 1));
    const model = asPairwiseSurrogate(
      buildPairwiseModel(terms, listPairs(6), { scaling, unit: { mean: 4, scale: 2 } }),
    );
    const predictions = model.predict(design);
    fixture.x.forEach((x, row) => {
      const z = x.map((value, k) => (value - scaling.means[k]!) / scaling.scales[k]!);
      const all = [1, ...z, ...listPairs(6).map(([i, j]) => z[i]! * z[j]!)];
      expect(predictions[row]).toBeCloseTo(4 + 2 * all.reduce((sum, value, t) => sum + value * terms[t]!, 0), 4);
    });
  });
});
