/**
 * Fits a factorization machine: standardises, runs the chosen solver from seeded random starts, chooses the penalty on
 * interactions by validation loss, and hands back a machine of the raw columns in the unit of the target.
 */
import { fault } from '../../shared/errors/fault.js';
import { createSeededRandom, type SeededRandom } from '../../shared/random/seeded-random.js';
import type { Loss } from './design-matrix.js';
import { type FactorizationMachine, foldBack } from './factorization-machine.js';
import { buildSparseRows, type PackedShape } from './factorization-machine-gradient.js';
import { type AdamFit, fitByAdam } from './fit-by-adam.js';
import { type DescentState, descend, type Penalties, refreshErrors } from './fit-by-coordinate-descent.js';
import { assertFitData, type FitData, takePart, trainAndValidation } from './fit-data.js';
import { type FitOptions, type Preset, resolveFitOptions } from './fit-options.js';
import { fitLinearModel } from './linear-model.js';
import { type PreparedRows, prepareHeldRows, prepareRows } from './prepare-rows.js';
import { type Candidate, followPath, growFactors, limitsOf, type SearchContext } from './search-penalties.js';
import { measureColumns, measureTarget } from './standardise.js';
import type { Steps } from './steps.js';

export interface MachineFit {
  readonly machine: FactorizationMachine;
  /** All settings, defaults filled in. */
  readonly options: FitOptions;
  /** The penalties used, once 'auto' was resolved. */
  readonly penalties: Penalties;
  /** Mean loss on the validation rows of the chosen fit (standardised squared error, or nats), before any refit. */
  readonly validationLoss: number;
  /** Passes over the training rows, all restarts and penalties together. */
  readonly epochs: number;
  /** Features that never varied in the rows that were fitted: nothing is known about them, their weights are 0. */
  readonly constantFeatures: readonly number[];
}

/** From none to strong, in units of standardised columns. */
const ADAM_PENALTIES = [0, 1e-4, 1e-3, 1e-2, 1e-1];
/** Growing factors looks at every pair once a factor: above this many multiplications a look, 'best' leaves it out. */
const MAX_GROWTH_OPERATIONS = 1e9;

/** Throws what assertFitData and resolveFitOptions throw, and NOT_FINITE when the fit diverged. */
export function* fitFactorizationMachine(
  data: FitData,
  given: Partial<FitOptions> = {},
  preset?: Preset,
): Steps<MachineFit> {
  assertFitData(data);
  const options = resolveFitOptions(given, data.loss, preset);
  const random = createSeededRandom(options.seed);
  const fit =
    options.solver === 'adam' ? yield* fitAdam(data, options, random) : yield* fitDescent(data, options, random);
  const { machine } = fit;
  if (
    !(
      Number.isFinite(machine.intercept) &&
      machine.weights.every(Number.isFinite) &&
      machine.factors.every(Number.isFinite)
    )
  )
    throw fault('NOT_FINITE', `the fit diverged at learning rate ${options.learningRate}; use a smaller one`);
  return { ...fit, options };
}

type Fitted = Omit<MachineFit, 'options'>;

function* fitAdam(data: FitData, options: FitOptions, random: SeededRandom): Steps<Fitted> {
  const train = takePart(data, data.split.train);
  const validation = takePart(data, data.split.validation);
  const scaling = measureColumns(train.design, false);
  const unit = measureTarget(train.target, data.loss === 'squared');
  const toUnit = (y: number) => (y - unit.mean) / unit.scale;
  const shape: PackedShape = { count: data.design.columns, rank: options.rank, loss: data.loss };
  const trainPart = { rows: buildSparseRows(train.design, scaling.scales), target: train.target.map(toUnit) };
  const validationPart = {
    rows: buildSparseRows(validation.design, scaling.scales),
    target: validation.target.map(toUnit),
  };
  let epochs = 0;
  let best: (AdamFit & { penalties: Penalties }) | undefined;
  for (const penalties of listPenalties(options))
    for (let restart = 0; restart < options.restarts; restart++) {
      const own = random.fork(`restart ${restart}`);
      const fit = yield* fitByAdam(shape, trainPart, validationPart, { ...options, ...penalties }, own);
      epochs += fit.epochs;
      if (!best || fit.validationLoss < best.validationLoss) best = { ...fit, penalties };
    }
  const { packed, penalties, validationLoss } = best!;
  const machine = foldBack(unpack(shape, packed), scaling, unit);
  return { machine, penalties, validationLoss, epochs, constantFeatures: findConstant(scaling.scales) };
}

/** The penalties that Adam tries: those given, and for 'auto' each of a few; both 'auto' go together. */
function listPenalties({ l2Linear, l2Factors }: FitOptions): Penalties[] {
  const tried = l2Linear === 'auto' || l2Factors === 'auto' ? ADAM_PENALTIES : [0];
  return tried.map((l2) => ({
    l2Linear: l2Linear === 'auto' ? l2 : l2Linear,
    l2Factors: l2Factors === 'auto' ? l2 : l2Factors,
    l1Factors: 0,
  }));
}

const unpack = ({ count, rank, loss }: PackedShape, packed: Float64Array): FactorizationMachine => ({
  loss,
  columns: count,
  rank,
  intercept: packed[0]!,
  weights: packed.slice(1, 1 + count),
  factors: packed.slice(1 + count),
});

function* fitDescent(data: FitData, options: FitOptions, random: SeededRandom): Steps<Fitted> {
  const train = prepareRows(data, data.split.train);
  const validation = prepareHeldRows(data, data.split.validation, train);
  const l2Linear =
    options.l2Linear === 'auto' ? (yield* fitLinearModel(data, { l2: 'auto', refit: false })).l2 : options.l2Linear;
  const context: SearchContext = { train, validation, options, l2Linear };
  let best: Candidate | undefined;
  let epochs = 0;
  for (const search of chooseSearches(data, options))
    for (let restart = 0; restart < (search === growFactors ? 1 : options.restarts); restart++) {
      const found = yield* search(context, random.fork(`restart ${restart}`));
      epochs += found.epochs;
      if (!best || found.validationLoss < best.validationLoss) best = found;
    }
  const { penalties, validationLoss, state, frozen } = best!;
  if (!options.refit) return { ...finish(data.loss, state, train), penalties, validationLoss, epochs };
  const all = prepareRows(data, trainAndValidation(data.split));
  const refitted = startFrom(state, all);
  yield* refreshErrors(refitted);
  epochs += yield* descend(refitted, penalties, { ...limitsOf(options), frozen });
  return { ...finish(data.loss, refitted, all), penalties, validationLoss, epochs };
}

function chooseSearches({ design, split }: FitData, { start, l2Factors }: FitOptions) {
  const affordable = split.train.length * design.columns ** 2 <= MAX_GROWTH_OPERATIONS;
  if (start === 'random' || (start === 'best' && (!affordable || l2Factors !== 'auto'))) return [followPath];
  return start === 'grown' ? [growFactors] : [followPath, growFactors];
}

const startFrom = (state: DescentState, { data, target }: PreparedRows): DescentState => ({
  ...state,
  weights: state.weights.slice(),
  factors: state.factors.slice(),
  data,
  target,
  errors: target.slice(),
});

function finish(loss: Loss, state: DescentState, { scaling, unit }: PreparedRows) {
  const { rank, intercept, weights } = state;
  const columns = state.data.count;
  const factors = new Float64Array(columns * rank);
  for (let f = 0; f < rank; f++)
    for (let k = 0; k < columns; k++) factors[k * rank + f] = state.factors[f * columns + k]!;
  const machine = foldBack({ loss, columns, rank, intercept, weights, factors }, scaling, unit);
  return { machine, constantFeatures: findConstant(scaling.scales) };
}

const findConstant = (scales: Float64Array): number[] => Array.from(scales.keys()).filter((k) => scales[k] === 0);
