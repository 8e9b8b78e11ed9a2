/** The settings of a fit: given -> defaults -> checked, once, into one full object that is also the record of what was run. */
import { fault } from '../../shared/errors/fault.js';
import type { Loss } from './design-matrix.js';

export type Solver = 'coordinate-descent' | 'adam';

export interface FitOptions {
  /** Length of each v_i, 1..MAX_RANK. m disjoint interacting pairs need rank m. */
  readonly rank: number;
  /** Penalty on each w_i^2, beside the mean loss; 'auto': chosen on the validation rows. */
  readonly l2Linear: number | 'auto';
  /** Penalty on each v_if^2; 'auto': chosen on the validation rows. */
  readonly l2Factors: number | 'auto';
  /**
   * Where V starts (coordinate descent). random: normal noise, L2. grown: factor by factor from the strongest pair, L1. best: both,
   * and the better on the validation rows, unless l2Factors is given or growing would be too dear.
   */
  readonly start: 'random' | 'grown' | 'best';
  /** Standard deviation of the first V, in standardised units. */
  readonly initialSpread: number;
  /** 0..2^53-1; with the data and the options it decides every bit of the result. */
  readonly seed: number;
  /** Passes over the training rows at most (for each l2Factors of a path). */
  readonly epochs: number;
  /**
   * Early stopping. Adam: stop after this many epochs without a better validation loss, and keep the best epoch; 0: run all and
   * keep the last. Coordinate descent: the same over the steps of the l2Factors path; 0: walk all of it; the best is kept.
   */
  readonly patience: number;
  /** Fits from other random starts; the best validation loss wins. */
  readonly restarts: number;
  /** coordinate-descent: squared loss only, exact minimum in each coordinate. adam: minibatches, either loss. */
  readonly solver: Solver;
  /** Step size of Adam. */
  readonly learningRate: number;
  /** Rows a minibatch of Adam. */
  readonly batchSize: number;
  /** Fit once more on training and validation rows together when all is chosen (coordinate descent only). */
  readonly refit: boolean;
}

export const MAX_RANK = 256;

const SHARED = { start: 'best', initialSpread: 0.05, seed: 0, batchSize: 32 } as const;

/** Named settings. `paper` is all that arXiv 2509.09708 states: rank 20, learning rate 1e-3, 20 epochs, labels as target. */
export const PRESETS = {
  causal: {
    ...SHARED,
    rank: 8,
    l2Linear: 'auto',
    l2Factors: 'auto',
    epochs: 100,
    patience: 4,
    restarts: 1,
    solver: 'coordinate-descent',
    learningRate: 0.01,
    refit: true,
  },
  labels: {
    ...SHARED,
    rank: 8,
    l2Linear: 1e-3,
    l2Factors: 1e-3,
    epochs: 200,
    patience: 10,
    restarts: 1,
    solver: 'adam',
    learningRate: 0.01,
    refit: false,
  },
  paper: {
    ...SHARED,
    rank: 20,
    l2Linear: 0,
    l2Factors: 0,
    epochs: 20,
    patience: 0,
    restarts: 1,
    solver: 'adam',
    learningRate: 1e-3,
    refit: false,
  },
} as const satisfies Record<string, FitOptions>;

export type Preset = keyof typeof PRESETS;

/** Fills what is not given from the preset (default: `causal` for squared loss, `labels` for log-loss). Throws REQUEST_INVALID. */
export function resolveFitOptions(given: Partial<FitOptions>, loss: Loss, preset?: Preset): FitOptions {
  const options: FitOptions = { ...PRESETS[preset ?? (loss === 'squared' ? 'causal' : 'labels')], ...given };
  assertWhole('rank', options.rank, 1, MAX_RANK);
  assertWhole('epochs', options.epochs, 1, 100_000);
  assertWhole('patience', options.patience, 0, 100_000);
  assertWhole('restarts', options.restarts, 1, 100);
  assertWhole('batch size', options.batchSize, 1, 1_000_000);
  assertWhole('seed', options.seed, 0, Number.MAX_SAFE_INTEGER);
  assertRange('l2Linear', options.l2Linear);
  assertRange('l2Factors', options.l2Factors);
  assertRange('initial spread', options.initialSpread);
  assertRange('learning rate', options.learningRate);
  if (options.initialSpread === 0 || options.learningRate === 0)
    throw fault(
      'REQUEST_INVALID',
      'initial spread or learning rate is 0: nothing would be learned; give a positive number',
    );
  if (options.solver === 'coordinate-descent' && loss === 'logistic')
    throw fault('REQUEST_INVALID', 'solver coordinate-descent fits squared loss only; use adam for 0/1 labels');
  return options;
}

function assertWhole(name: string, value: number, least: number, most: number): void {
  if (!Number.isInteger(value) || value < least || value > most)
    throw fault('REQUEST_INVALID', `${name} is ${value}; it must be a whole number from ${least} to ${most}`);
}

function assertRange(name: string, value: number | 'auto'): void {
  if (value !== 'auto' && !(value >= 0 && value <= 1e6))
    throw fault('REQUEST_INVALID', `${name} is ${value}; it must be from 0 to 1000000`);
}
