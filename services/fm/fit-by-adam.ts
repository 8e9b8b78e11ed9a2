/**
 * Minibatch training with Adam (Kingma and Ba, ICLR 2015) for either loss: the paper's mode, and the only solver for log-loss.
 * Rows are sparse, as most SAE activations are 0. Objective: mean loss + l2Linear |w|^2 + l2Factors |V|^2.
 */

import type { SeededRandom } from '../../shared/random/seeded-random.js';
import {
  addRowGradient,
  meanLoss,
  type PackedParameters,
  type PackedShape,
  packedLength,
  predictPacked,
  type SparseRows,
} from './factorization-machine-gradient.js';
import type { FitOptions } from './fit-options.js';
import { OPERATIONS_PER_STEP, type Steps } from './steps.js';

export interface AdamPart {
  readonly rows: SparseRows;
  readonly target: Float64Array;
}

export interface AdamFit {
  readonly packed: PackedParameters;
  /** Epochs run, and the one whose parameters are returned. */
  readonly epochs: number;
  readonly bestEpoch: number;
  readonly validationLoss: number;
}

/** The constants of the Adam paper. */
const BETA_1 = 0.9;
const BETA_2 = 0.999;
const EPSILON = 1e-8;

type AdamOptions = Pick<FitOptions, 'epochs' | 'patience' | 'learningRate' | 'batchSize' | 'initialSpread'> & {
  readonly l2Linear: number;
  readonly l2Factors: number;
};

export function* fitByAdam(
  shape: PackedShape,
  train: AdamPart,
  validation: AdamPart,
  options: AdamOptions,
  random: SeededRandom,
): Steps<AdamFit> {
  const state = createState(shape, options, random);
  const order = Array.from({ length: train.rows.rows }, (_, row) => row);
  let best = { packed: state.packed.slice(), bestEpoch: 0, validationLoss: Number.POSITIVE_INFINITY };
  let epoch = 0;
  while (epoch < options.epochs) {
    epoch++;
    random.shuffle(order);
    for (let from = 0; from < order.length; from += options.batchSize)
      yield* stepOnce(shape, state, train, order.slice(from, from + options.batchSize), options);
    const trainLoss = yield* measureLoss(shape, state.packed, train);
    const validationLoss = yield* measureLoss(shape, state.packed, validation);
    yield { model: 'factorization machine', epoch, epochs: options.epochs, trainLoss, validationLoss };
    if (options.patience === 0 || validationLoss < best.validationLoss)
      best = { packed: state.packed.slice(), bestEpoch: epoch, validationLoss };
    else if (epoch - best.bestEpoch >= options.patience) break;
  }
  return { ...best, epochs: epoch };
}

interface AdamState {
  readonly packed: Float64Array;
  readonly gradient: Float64Array;
  readonly firstMoment: Float64Array;
  readonly secondMoment: Float64Array;
  readonly sums: Float64Array;
  steps: number;
}

function createState(shape: PackedShape, { initialSpread }: AdamOptions, random: SeededRandom): AdamState {
  const length = packedLength(shape);
  const packed = new Float64Array(length);
  for (let p = 1 + shape.count; p < length; p++) packed[p] = initialSpread * random.normal();
  return {
    packed,
    gradient: new Float64Array(length),
    firstMoment: new Float64Array(length),
    secondMoment: new Float64Array(length),
    sums: new Float64Array(shape.rank),
    steps: 0,
  };
}

/** One minibatch: mean gradient, penalties, one Adam step. */
function* stepOnce(
  shape: PackedShape,
  state: AdamState,
  train: AdamPart,
  batch: readonly number[],
  options: AdamOptions,
): Steps<void> {
  const { packed, gradient } = state;
  gradient.fill(0);
  let operations = 0;
  for (const row of batch) {
    addRowGradient(shape, packed, train.rows, row, train.target[row]!, 1 / batch.length, state.sums, gradient);
    operations += (train.rows.starts[row + 1]! - train.rows.starts[row]!) * shape.rank * 4;
    if (operations < OPERATIONS_PER_STEP) continue;
    operations = 0;
    yield;
  }
  for (let p = 1; p < packed.length; p++)
    gradient[p]! += 2 * (p <= shape.count ? options.l2Linear : options.l2Factors) * packed[p]!;
  applyStep(state, options.learningRate);
  yield;
}

function applyStep(state: AdamState, learningRate: number): void {
  const { packed, gradient, firstMoment, secondMoment } = state;
  state.steps++;
  const bias1 = 1 - BETA_1 ** state.steps;
  const bias2 = 1 - BETA_2 ** state.steps;
  for (let p = 0; p < packed.length; p++) {
    const g = gradient[p]!;
    const m = BETA_1 * firstMoment[p]! + (1 - BETA_1) * g;
    const v = BETA_2 * secondMoment[p]! + (1 - BETA_2) * g * g;
    firstMoment[p] = m;
    secondMoment[p] = v;
    packed[p]! -= (learningRate * m) / bias1 / (Math.sqrt(v / bias2) + EPSILON);
  }
}

function* measureLoss(shape: PackedShape, packed: Float64Array, part: AdamPart): Steps<number> {
  const predictions = new Float64Array(part.rows.rows);
  const sums = new Float64Array(shape.rank);
  let operations = 0;
  for (let row = 0; row < predictions.length; row++) {
    predictions[row] = predictPacked(shape, packed, part.rows, row, sums);
    operations += (part.rows.starts[row + 1]! - part.rows.starts[row]!) * shape.rank * 2;
    if (operations < OPERATIONS_PER_STEP) continue;
    operations = 0;
    yield;
  }
  return meanLoss(shape.loss, predictions, part.target);
}
