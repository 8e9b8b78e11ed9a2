/**
 * One whole fit as the FM service answers it: the factorization machine and the linear model on the same split, both measured on
 * the same held-out rows, with the interactions ranked. Kept together so that no R2 of the machine is ever shown alone.
 */
import type { DesignMatrix, Loss } from './design-matrix.js';
import { evaluateOnSplit, type SplitQuality } from './evaluate-fit.js';
import { asSurrogate } from './factorization-machine.js';
import type { FitData } from './fit-data.js';
import { fitFactorizationMachine, type MachineFit } from './fit-factorization-machine.js';
import type { FitOptions, Preset } from './fit-options.js';
import { fitLinearModel, type LinearModel } from './linear-model.js';
import { asPairwiseSurrogate } from './pairwise-model.js';
import { fitPairwiseRegression, type PairwiseFit } from './pairwise-regression.js';
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
  /** All-pairs lasso, for scores, while pairs and rows are few enough. */
  readonly allPairs?: PairwiseFit;
  readonly quality: { readonly machine: SplitQuality; readonly linear: SplitQuality; readonly allPairs?: SplitQuality };
  readonly split: RowSplit;
  /**
   * [K] what an effect is stated for: 1 for scores of masks; for labels the standard deviation of each activation, so that the
   * pairs of a rare strong feature and a frequent weak one can be compared.
   */
  readonly units: Float64Array;
  readonly interactions: readonly RankedPair[];
  readonly mainEffects: readonly MainEffect[];
}

/** The linear model as plain data. */
export type LinearFit = Pick<LinearModel, 'intercept' | 'weights' | 'l2' | 'validationLoss'>;

/** The lasso on all pairs is fitted up to this many rows * pairs: a few seconds; and this many pairs a row, beyond which it guesses. */
const MAX_PAIR_ROWS = 1e7;
const MAX_PAIRS_A_ROW = 20;

/** Throws what splitRows, assertFitData and resolveFitOptions throw. */
export function* fitWithBaseline(request: FitRequest): Steps<FitReport> {
  const { design, target, loss, preset, options = {}, limit = 100 } = request;
  const split = splitRows(design.rows, { ...request.split, seed: options.seed ?? 0 });
  const data = { design, target, loss, split };
  const linear = yield* fitLinearModel(data);
  const fit = yield* fitFactorizationMachine(data, options, preset);
  const allPairs = canFitAllPairs(data) ? yield* fitPairwiseRegression(data, { penalty: 'lasso' }) : undefined;
  const machine = asSurrogate(fit.machine);
  const { means, scales } = measureColumns(design, true);
  const units = loss === 'squared' ? new Float64Array(design.columns).fill(1) : scales;
  return {
    fit,
    linear: {
      intercept: linear.intercept,
      weights: linear.weights,
      l2: linear.l2,
      validationLoss: linear.validationLoss,
    },
    ...(allPairs && { allPairs }),
    quality: {
      machine: evaluateOnSplit(machine, data),
      linear: evaluateOnSplit(linear, data),
      ...(allPairs && { allPairs: evaluateOnSplit(asPairwiseSurrogate(allPairs.model), data) }),
    },
    split,
    units,
    interactions: yield* rankInteractions(machine, { limit, units }),
    mainEffects: yield* rankMainEffects(machine, means, { limit, units }),
  };
}

function canFitAllPairs({ design, loss, split }: FitData): boolean {
  const pairs = (design.columns * (design.columns - 1)) / 2;
  const rows = split.train.length;
  return loss === 'squared' && pairs > 0 && pairs * rows <= MAX_PAIR_ROWS && pairs <= MAX_PAIRS_A_ROW * rows;
}
