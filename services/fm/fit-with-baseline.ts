/**
 * One whole fit as the FM service answers it: the factorization machine, the linear model and the other ways to pairs on the same split,
 * all measured on the same held-out rows, and the interactions of the one that the validation rows choose. Kept together so that no R2
 * of the machine is ever shown alone.
 */
import { fitBoostedTrees } from './boosted-trees.js';
import { type Choice, chooseModel, type FittedModel, type ModelName } from './choose-model.js';
import type { DesignMatrix, Loss } from './design-matrix.js';
import { evaluateOnSplit } from './evaluate-fit.js';
import { asSurrogate, type Surrogate } from './factorization-machine.js';
import type { FitData } from './fit-data.js';
import { fitFactorizationMachine, type MachineFit } from './fit-factorization-machine.js';
import type { FitOptions, Preset } from './fit-options.js';
import { fitLinearModel, type LinearModel } from './linear-model.js';
import { asPairwiseSurrogate } from './pairwise-model.js';
import { fitPairwiseRegression } from './pairwise-regression.js';
import { type MainEffect, type RankedPair, rankInteractions, rankMainEffects } from './rank-interactions.js';
import { type RowSplit, type SplitOptions, splitRows } from './split-rows.js';
import { measureColumns } from './standardise.js';
import type { Steps } from './steps.js';

export interface FitRequest {
  readonly design: DesignMatrix;
  /** [n] refusal scores (squared) or labels, 1 harmful and 0 harmless (logistic). */
  readonly target: ArrayLike<number>;
  readonly loss: Loss;
  readonly preset?: Preset;
  readonly options?: Partial<FitOptions>;
  /** The split's seed is that of the fit. */
  readonly split?: Omit<SplitOptions, 'seed'>;
  /** How many pairs and main effects to return; default 100. */
  readonly limit?: number;
}

export interface FitReport {
  readonly fit: MachineFit;
  readonly linear: LinearFit;
  /** From simple to complex: linear, the machine and, for scores while rows and pairs are few enough, all-pairs lasso and trees. */
  readonly models: readonly FittedModel[];
  readonly choice: Choice<FittedModel>;
  /** [K] main effects of `choice.pairs`, in the unit of the target. */
  readonly weights: Float64Array;
  readonly split: RowSplit;
  /**
   * [K] what an effect is stated for: 1 for scores of masks; for labels the standard deviation of each activation, so that the
   * pairs of a rare strong feature and a frequent weak one can be compared.
   */
  readonly units: Float64Array;
  /** Of `choice.pairs`. */
  readonly interactions: readonly RankedPair[];
  readonly mainEffects: readonly MainEffect[];
}

/** The linear model as plain data. */
export type LinearFit = Pick<LinearModel, 'intercept' | 'weights' | 'l2' | 'validationLoss'>;

/** The lasso on all pairs is fitted up to this many rows * pairs: a few seconds; and this many pairs a row, beyond which it guesses. */
const MAX_PAIR_ROWS = 1e7;
const MAX_PAIRS_A_ROW = 20;
/** Trees read every value some 3,000 times: at so many values a few seconds. */
const MAX_TREE_VALUES = 1e6;

/** Throws what splitRows, assertFitData and resolveFitOptions throw. */
export function* fitWithBaseline(request: FitRequest): Steps<FitReport> {
  const { design, target, loss, preset, options = {}, limit = 100 } = request;
  const split = splitRows(design.rows, { ...request.split, seed: options.seed ?? 0 });
  const data = { design, target, loss, split };
  const linear = yield* fitLinearModel(data);
  const fit = yield* fitFactorizationMachine(data, options, preset);
  const models: [Candidate, ...Candidate[]] = [
    asFitted('linear', linear, linear.validationLoss, data),
    asFitted('factorization-machine', asSurrogate(fit.machine), fit.validationLoss, data),
    ...(yield* fitAlternatives(data)),
  ];
  const choice = chooseModel(models);
  const { surrogate } = choice.pairs;
  const { means, scales } = measureColumns(design, true);
  const units = loss === 'squared' ? new Float64Array(design.columns).fill(1) : scales;
  const { intercept, weights, l2, validationLoss } = linear;
  return {
    fit,
    linear: { intercept, weights, l2, validationLoss },
    models: models.map(asPlain),
    choice: { best: asPlain(choice.best), pairs: asPlain(choice.pairs) },
    weights: surrogate.weights,
    split,
    units,
    interactions: yield* rankInteractions(surrogate, { limit, units }),
    mainEffects: yield* rankMainEffects(surrogate, means, { limit, units }),
  };
}

/** With the functions that do not cross to another thread. */
interface Candidate extends FittedModel {
  readonly surrogate: Surrogate;
}

const asFitted = (name: ModelName, surrogate: Surrogate, validationLoss: number, data: FitData): Candidate => ({
  name,
  surrogate,
  validationLoss,
  quality: evaluateOnSplit(surrogate, data),
});

const asPlain = ({ name, validationLoss, quality }: Candidate): FittedModel => ({ name, validationLoss, quality });

function* fitAlternatives(data: FitData): Steps<Candidate[]> {
  const found: Candidate[] = [];
  if (canFitAllPairs(data)) {
    const { model, validationLoss } = yield* fitPairwiseRegression(data, { penalty: 'lasso' });
    found.push(asFitted('all-pairs', asPairwiseSurrogate(model), validationLoss, data));
  }
  if (canFitTrees(data)) {
    const { model, validationLoss } = yield* fitBoostedTrees(data);
    found.push(asFitted('boosted-trees', asPairwiseSurrogate(model), validationLoss, data));
  }
  return found;
}

function canFitAllPairs({ design, loss, split }: FitData): boolean {
  const pairs = (design.columns * (design.columns - 1)) / 2;
  const rows = split.train.length;
  return loss === 'squared' && pairs > 0 && pairs * rows <= MAX_PAIR_ROWS && pairs <= MAX_PAIRS_A_ROW * rows;
}

const canFitTrees = ({ design, loss, split }: FitData): boolean =>
  loss === 'squared' &&
  split.train.length * design.columns <= MAX_TREE_VALUES &&
  design.values.every((x) => x === 0 || x === 1);
