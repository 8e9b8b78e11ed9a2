/**
 * Two ways to a factorization machine under squared loss, each choosing its penalty on the validation rows:
 * `followPath`, the plain one (random V, L2), good where interactions are many and of low rank, and `growFactors` (one factor at
 * a time from the strongest unexplained pair, L1 on V), good where they are few. The caller keeps the better.
 */

import type { SeededRandom } from '../../shared/random/seeded-random.js';
import { meanLoss } from './factorization-machine-gradient.js';
import { findLargestPenalty, findStrongestPair } from './find-start.js';
import {
  createDescent,
  type DescentLimits,
  type DescentState,
  descend,
  type Penalties,
  perturbFactors,
  predictColumns,
  refreshErrors,
} from './fit-by-coordinate-descent.js';
import type { FitOptions } from './fit-options.js';
import type { PreparedRows } from './prepare-rows.js';
import type { Steps } from './steps.js';

export interface SearchContext {
  readonly train: PreparedRows;
  readonly validation: PreparedRows;
  readonly options: FitOptions;
  readonly l2Linear: number;
}

export interface Candidate {
  readonly state: DescentState;
  readonly penalties: Penalties;
  /** A refit leaves every v_if that is 0 at 0. */
  readonly frozen: boolean;
  readonly validationLoss: number;
  readonly epochs: number;
}

/** The path of l2Factors goes down by this factor a step, from the largest useful value. */
const PATH_RATIO = 0.6;
const PATH_STEPS = 14;
/** Shares of the noise level sqrt(2 log K / n) * (root mean square error of the linear fit) that are tried as l1Factors. */
const L1_SHARES = [1, 0.5, 0.25, 0.12];
/** Shares of l2Linear tried once V is there: the linear model needed more, as interactions were noise to it. */
const LINEAR_SHARES = [1, 0.3, 0.1, 0.03, 0.01];
/** Against directions in which the data say nothing; far below any useful shrinkage. */
const TINY_L2 = 1e-6;

/** Passes after each new factor. More of them let it explain noise before the next true pair is there (measured: budget bench). */
const GROWTH_PASSES = 1;
/**
 * While penalties are compared a rough minimum is enough, and stopping there is a little better on held-out rows; for a penalty that
 * the caller names the minimum itself is found.
 */
const ROUGH_TOLERANCE = 3e-3;
const TOLERANCE = 1e-6;

export const limitsOf = ({ epochs, l2Factors }: FitOptions): DescentLimits => ({
  epochs,
  tolerance: l2Factors === 'auto' ? ROUGH_TOLERANCE : TOLERANCE,
});

/**
 * From strong to weak penalty, each fit starting where the last one ended: strong interactions are found first, while weak ones
 * are still shrunk away, so that the non-convex problem is solved from a good side.
 */
export function* followPath(context: SearchContext, random: SeededRandom): Steps<Candidate> {
  const { train, options, l2Linear } = context;
  const state = createDescent(train.data, train.target, options.rank);
  let epochs = yield* descend(state, { l2Linear, l2Factors: 0, l1Factors: 0 }, limitsOf(options));
  const path = options.l2Factors === 'auto' ? yield* buildPath(state, random) : [options.l2Factors];
  const keeper = createKeeper(context, options.epochs * path.length);
  for (const l2Factors of path) {
    const penalties = { l2Linear, l2Factors, l1Factors: 0 };
    perturbFactors(state, random, options.initialSpread);
    yield* refreshErrors(state);
    epochs += yield* descend(state, penalties, limitsOf(options));
    if (!(yield* keeper.offer(state, penalties, false, epochs))) break;
  }
  return yield* polish(context, keeper.best(), epochs, false);
}

function* buildPath(state: DescentState, random: SeededRandom): Steps<number[]> {
  const largest = yield* findLargestPenalty(state, random);
  return Array.from({ length: PATH_STEPS }, (_, step) => largest * PATH_RATIO ** step);
}

/** Each new factor starts as the one pair whose product the errors follow most; then all parameters are fitted again. */
export function* growFactors(context: SearchContext): Steps<Candidate> {
  const { train, options, l2Linear } = context;
  const linear = createDescent(train.data, train.target, options.rank);
  let epochs = yield* descend(linear, { l2Linear, l2Factors: 0, l1Factors: 0 }, limitsOf(options));
  const spread = Math.sqrt(linear.errors.reduce((sum, e) => sum + e * e, 0) / linear.errors.length);
  const noise = spread * Math.sqrt((2 * Math.log(train.data.count + 1)) / train.data.rows);
  let best: Candidate | undefined;
  for (const share of L1_SHARES) {
    const penalties = { l2Linear, l2Factors: TINY_L2, l1Factors: share * noise };
    const state = copyState(linear);
    const used = new Set<number>();
    const keeper = createKeeper(context, options.epochs * options.rank * L1_SHARES.length);
    yield* keeper.offer(state, penalties, true, epochs);
    for (let factor = 0; factor < options.rank; factor++) {
      if (!(yield* startFactor(state, factor, used))) break;
      epochs += yield* descend(state, penalties, { epochs: GROWTH_PASSES, tolerance: 0 });
      if (!(yield* keeper.offer(state, penalties, true, epochs))) break;
    }
    const polished = yield* polish(context, keeper.best(), epochs, true);
    epochs = polished.epochs;
    if (!best || polished.validationLoss < best.validationLoss) best = polished;
  }
  return { ...best!, epochs };
}

function* startFactor(state: DescentState, factor: number, used: Set<number>): Steps<boolean> {
  const pair = yield* findStrongestPair(state, used);
  if (!pair) return false;
  used.add(pair.first * state.data.count + pair.second);
  const root = Math.sqrt(Math.abs(pair.size));
  state.factors[factor * state.data.count + pair.first] = root;
  state.factors[factor * state.data.count + pair.second] = Math.sign(pair.size) * root;
  yield* refreshErrors(state);
  return true;
}

/** With V nearly right: less shrinkage of the main effects and, where V is sparse, of V; kept only where it validates better. */
function* polish(context: SearchContext, found: Candidate, epochs: number, relax: boolean): Steps<Candidate> {
  let best = found;
  let total = epochs;
  for (const share of context.options.l2Linear === 'auto' ? LINEAR_SHARES : [1]) {
    const state = copyState(found.state);
    const l2Linear = found.penalties.l2Linear * share;
    const penalties = relax ? { l2Linear, l2Factors: TINY_L2, l1Factors: 0 } : { ...found.penalties, l2Linear };
    total += yield* descend(state, penalties, { ...limitsOf(context.options), frozen: relax });
    const validationLoss = yield* validate(context, state);
    if (validationLoss < best.validationLoss) best = { ...found, state, penalties, validationLoss };
  }
  return { ...best, epochs: total };
}

/** Keeps the candidate of least validation loss; `offer` says whether to go on (early stopping, options.patience). */
function createKeeper(context: SearchContext, epochsAtMost: number) {
  let best: Candidate | undefined;
  let since = 0;
  function* offer(state: DescentState, penalties: Penalties, frozen: boolean, epochs: number): Steps<boolean> {
    const validationLoss = yield* validate(context, state);
    const trainLoss = state.errors.reduce((sum, e) => sum + e * e, 0) / state.errors.length;
    yield {
      model: 'factorization machine',
      epoch: epochs,
      epochs: Math.max(epochs, epochsAtMost),
      trainLoss,
      validationLoss,
    };
    since++;
    if (!best || validationLoss < best.validationLoss) {
      best = { state: copyState(state), penalties, frozen, validationLoss, epochs };
      since = 0;
    }
    return context.options.patience === 0 || since < context.options.patience;
  }
  return { offer, best: () => best! };
}

function* validate({ validation }: SearchContext, state: DescentState): Steps<number> {
  return meanLoss('squared', yield* predictColumns(state, validation.data), validation.target);
}

const copyState = (state: DescentState): DescentState => ({
  ...state,
  weights: state.weights.slice(),
  factors: state.factors.slice(),
  errors: state.errors.slice(),
});
