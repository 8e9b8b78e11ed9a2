/**
 * Every pair a term of its own: ridge or lasso over K + K(K-1)/2 terms. The obvious alternative to a factorization machine,
 * feasible while K^2 terms are, and the better one where interactions are sparse but not of low rank. Squared loss only.
 */
import { fault } from '../../shared/errors/fault.js';
import { meanLoss } from './factorization-machine-gradient.js';
import { assertFitData, type FitData, trainAndValidation } from './fit-data.js';
import { L2_PATH } from './linear-model.js';
import { buildPairwiseModel, type PairwiseModel } from './pairwise-model.js';
import { prepareHeldRows, prepareRows } from './prepare-rows.js';
import { buildProductColumns, listPairs, multiply, withData } from './product-columns.js';
import { createLasso, descendLasso, findLargestL1 } from './solve-lasso.js';
import { ROUGH_TOLERANCE, solveRidge } from './solve-ridge.js';
import type { Steps } from './steps.js';

/** 400 features are 79,800 pairs: a pass over 8,192 rows takes about two seconds. */
export const MAX_PAIRWISE_FEATURES = 400;

export interface PairwiseFit {
  readonly model: PairwiseModel;
  /** The penalty chosen on the validation rows: l2 (ridge) or l1 (lasso), in standardised units. */
  readonly penalty: number;
  readonly validationLoss: number;
}

export interface PairwiseOptions {
  readonly penalty: 'ridge' | 'lasso';
}

/** The lasso path: from all zero down to a thousandth of it. */
const L1_STEPS = 40;
const L1_RATIO = 0.84;
/** A path ends after so many penalties without a better validation loss. */
const PATH_PATIENCE = 5;
/** Hardly any shrinkage: only against terms that are exact copies of each other. */
const RELAXED_L2 = 1e-4;

/** Throws what assertFitData throws; REQUEST_TOO_LARGE above MAX_PAIRWISE_FEATURES; REQUEST_INVALID for labels. */
export function* fitPairwiseRegression(data: FitData, { penalty }: PairwiseOptions): Steps<PairwiseFit> {
  assertFitData(data);
  if (data.loss !== 'squared')
    throw fault('REQUEST_INVALID', 'all-pairs regression fits scores only; use a factorization machine for 0/1 labels');
  if (data.design.columns > MAX_PAIRWISE_FEATURES)
    throw fault(
      'REQUEST_TOO_LARGE',
      `${data.design.columns} features are too many for all-pairs regression; the limit is ${MAX_PAIRWISE_FEATURES}: use a factorization machine`,
    );
  const pairs = listPairs(data.design.columns);
  return penalty === 'ridge' ? yield* fitRidgeOnPairs(data, pairs) : yield* fitLassoOnPairs(data, pairs);
}

/** Ridge over the main effects and the pairs given, its penalty chosen on the validation rows, then fitted to both parts. */
export function* fitRidgeOnPairs(data: FitData, pairs: readonly (readonly [number, number])[]): Steps<PairwiseFit> {
  const parts = prepare(data, pairs);
  let best: { l2: number; weights: Float64Array; validationLoss: number } | undefined;
  let weights: Float64Array = new Float64Array(parts.columns.terms);
  let since = 0;
  for (const l2 of L2_PATH) {
    weights = yield* solveRidge(parts.columns, parts.train.target, l2, weights, ROUGH_TOLERANCE);
    const validationLoss = meanLoss('squared', yield* multiply(parts.heldColumns, weights), parts.held.target);
    if (best && validationLoss >= best.validationLoss) {
      since++;
      if (since >= PATH_PATIENCE) break;
      continue;
    }
    best = { l2, weights, validationLoss };
    since = 0;
  }
  const { l2, validationLoss } = best!;
  const model = yield* refitRidge(data, pairs, l2, best!.weights);
  return { model, penalty: l2, validationLoss };
}

/**
 * The lasso chooses which terms there are; a ridge on those alone then gives their size (the relaxed lasso of Meinshausen,
 * 2007), as the lasso's own sizes are shrunk by l1. Which of the two is kept, the validation rows say.
 */
function* fitLassoOnPairs(data: FitData, pairs: readonly (readonly [number, number])[]): Steps<PairwiseFit> {
  const parts = prepare(data, pairs);
  const state = yield* createLasso(parts.columns, parts.train.target);
  const largest = yield* findLargestL1(state);
  let best: { l1: number; weights: Float64Array; validationLoss: number } | undefined;
  let since = 0;
  for (let step = 1; step <= L1_STEPS && since < PATH_PATIENCE; step++) {
    const l1 = largest * L1_RATIO ** step;
    yield* descendLasso(state, l1);
    const validationLoss = meanLoss('squared', yield* multiply(parts.heldColumns, state.weights), parts.held.target);
    yield {
      model: 'all-pairs lasso',
      epoch: step,
      epochs: L1_STEPS,
      trainLoss: meanSquare(state.errors),
      validationLoss,
    };
    since++;
    if (best && validationLoss >= best.validationLoss) continue;
    best = { l1, weights: state.weights.slice(), validationLoss };
    since = 0;
  }
  const { l1, weights, validationLoss } = best!;
  const support = pairs.filter((_, p) => weights[1 + data.design.columns + p] !== 0);
  const relaxed = yield* fitRelaxed(data, support);
  if (relaxed.validationLoss < validationLoss) return { ...relaxed, penalty: l1 };
  return { model: buildPairwiseModel(weights, pairs, parts.train), penalty: l1, validationLoss };
}

function* fitRelaxed(
  data: FitData,
  support: readonly (readonly [number, number])[],
): Steps<Omit<PairwiseFit, 'penalty'>> {
  const parts = prepare(data, support);
  const weights = yield* solveRidge(parts.columns, parts.train.target, RELAXED_L2);
  const validationLoss = meanLoss('squared', yield* multiply(parts.heldColumns, weights), parts.held.target);
  return { model: yield* refitRidge(data, support, RELAXED_L2, weights), validationLoss };
}

function* refitRidge(
  data: FitData,
  pairs: readonly (readonly [number, number])[],
  l2: number,
  start: Float64Array,
): Steps<PairwiseModel> {
  const all = prepareRows(data, trainAndValidation(data.split));
  const weights = yield* solveRidge(buildProductColumns(all.data, pairs), all.target, l2, start);
  return buildPairwiseModel(weights, pairs, all);
}

function prepare(data: FitData, pairs: readonly (readonly [number, number])[]) {
  const train = prepareRows(data, data.split.train);
  const held = prepareHeldRows(data, data.split.validation, train);
  const columns = buildProductColumns(train.data, pairs);
  return { train, columns, held, heldColumns: withData(columns, held.data) };
}

const meanSquare = (errors: Float64Array): number => errors.reduce((sum, e) => sum + e * e, 0) / errors.length;
