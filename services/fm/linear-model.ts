/**
 * The linear model that stands beside every factorization machine: ridge for scores, logistic regression for labels, on the
 * same split, with its penalty chosen on the same validation rows. An R2 alone says nothing about interactions; the difference
 * to this one does.
 */
import type { Loss } from './design-matrix.js';
import { assertWidth, type Surrogate } from './factorization-machine.js';
import { meanLoss } from './factorization-machine-gradient.js';
import { assertFitData, type FitData, trainAndValidation } from './fit-data.js';
import { type PreparedRows, prepareHeldRows, prepareRows } from './prepare-rows.js';
import { buildProductColumns, multiply, withData } from './product-columns.js';
import { solveLogistic, solveRidge } from './solve-ridge.js';
import type { Steps } from './steps.js';

export interface LinearModel extends Surrogate {
  /** Penalty on standardised weights beside the mean loss. */
  readonly l2: number;
  /** Mean loss on the validation rows (standardised target for scores, nats for labels). */
  readonly validationLoss: number;
}

/** From hardly any to nearly all shrinkage, in standardised units: 10 to 1e-5, four steps a decade. */
export const L2_PATH: readonly number[] = Array.from({ length: 25 }, (_, step) => 10 ** (1 - step / 4));

export interface LinearOptions {
  /** Penalty; 'auto' chooses from L2_PATH on the validation rows. */
  readonly l2: number | 'auto';
  /** Fit once more on training and validation rows together when the penalty is chosen. */
  readonly refit: boolean;
}

/** Throws what assertFitData throws. */
export function* fitLinearModel(
  data: FitData,
  options: LinearOptions = { l2: 'auto', refit: true },
): Steps<LinearModel> {
  assertFitData(data);
  const solve = data.loss === 'squared' ? solveRidge : solveLogistic;
  const train = prepareRows(data, data.split.train);
  const held = prepareHeldRows(data, data.split.validation, train);
  const columns = buildProductColumns(train.data);
  const heldColumns = withData(columns, held.data);
  let best: { l2: number; weights: Float64Array; validationLoss: number } | undefined;
  let weights: Float64Array = new Float64Array(columns.terms);
  for (const l2 of options.l2 === 'auto' ? L2_PATH : [options.l2]) {
    weights = yield* solve(columns, train.target, l2, weights);
    const validationLoss = meanLoss(data.loss, yield* multiply(heldColumns, weights), held.target);
    if (!best || validationLoss < best.validationLoss) best = { l2, weights, validationLoss };
  }
  const { l2, validationLoss } = best!;
  if (!options.refit) return { ...buildLinear(data.loss, best!.weights, train), l2, validationLoss };
  const all = prepareRows(data, trainAndValidation(data.split));
  const final = yield* solve(buildProductColumns(all.data), all.target, l2, best!.weights);
  return { ...buildLinear(data.loss, final, all), l2, validationLoss };
}

function buildLinear(loss: Loss, standardised: Float64Array, { scaling, unit }: PreparedRows): Surrogate {
  const columns = scaling.means.length;
  const weights = new Float64Array(columns);
  let intercept = unit.mean + unit.scale * standardised[0]!;
  for (let k = 0; k < columns; k++) {
    weights[k] = scaling.scales[k] === 0 ? 0 : (unit.scale * standardised[1 + k]!) / scaling.scales[k]!;
    intercept -= weights[k]! * scaling.means[k]!;
  }
  return {
    loss,
    columns,
    intercept,
    weights,
    pairWeight: () => 0,
    predict: (design) => {
      assertWidth(columns, design);
      return Float64Array.from({ length: design.rows }, (_, row) => {
        let sum = intercept;
        for (let k = 0; k < columns; k++) sum += weights[k]! * design.values[row * columns + k]!;
        return sum;
      });
    },
  };
}
