/** Results of the FM service as the contract has them. A measure that could not be computed stays absent. */
import { type FitMetrics, FitModel, type FitResult } from '../../proto/gen/refusalscope/v1/fm.js';
import type { Progress } from '../../proto/gen/refusalscope/v1/types.js';
import { encodeMatrix } from '../../shared/tensors/matrix.js';
import type { FittedModel, ModelName } from './choose-model.js';
import type { Loss } from './design-matrix.js';
import type { FitReport } from './fit-with-baseline.js';
import type { FitProgress } from './steps.js';

const MODELS: Readonly<Record<ModelName, FitModel>> = {
  linear: FitModel.FIT_MODEL_LINEAR,
  'factorization-machine': FitModel.FIT_MODEL_FACTORIZATION_MACHINE,
  'all-pairs': FitModel.FIT_MODEL_ALL_PAIRS,
  'boosted-trees': FitModel.FIT_MODEL_BOOSTED_TREES,
};

export function toFitResult({ fit, linear, models, choice, weights, split, interactions }: FitReport): FitResult {
  const { machine, epochs } = fit;
  const { columns, rank, loss } = machine;
  const metricsOf = (name: ModelName): FitMetrics | undefined => {
    const found = models.find((model) => model.name === name);
    return found && toMetrics(found, loss);
  };
  const [allPairsMetrics, boostedTreesMetrics] = [metricsOf('all-pairs'), metricsOf('boosted-trees')];
  return {
    machine: {
      intercept: machine.intercept,
      weights: Array.from(machine.weights),
      factors: encodeMatrix({ rows: columns, cols: rank, data: Float32Array.from(machine.factors) }),
    },
    factorizationMachineMetrics: metricsOf('factorization-machine'),
    linearMetrics: metricsOf('linear'),
    ...(allPairsMetrics && { allPairsMetrics }),
    ...(boostedTreesMetrics && { boostedTreesMetrics }),
    chosen: MODELS[choice.best.name],
    pairsFrom: MODELS[choice.pairs.name],
    interactions: interactions.map(({ first, second, weight }) => ({ first, second, effect: weight })),
    mainEffects: Array.from(weights),
    trainRows: split.train.length,
    validationRows: split.validation.length,
    testRows: split.test.length,
    epochsRun: epochs,
    linearWeights: Array.from(linear.weights),
  };
}

const toMetrics = ({ quality, validationLoss }: FittedModel, loss: Loss): FitMetrics => {
  const { r2, rootMeanSquare, accuracy, logLoss } = quality.test;
  return loss === 'squared'
    ? { r2, rmse: rootMeanSquare, signAgreement: accuracy, validationLoss }
    : { accuracy, logLoss, validationLoss };
};

export const toProgress = ({ model, epoch, epochs, trainLoss, validationLoss }: FitProgress): Progress => ({
  stage: model,
  done: epoch,
  total: epochs,
  evaluations: 0,
  evaluationsReused: 0,
  detail: `train loss ${trainLoss.toPrecision(4)}${validationLoss === undefined ? '' : `, validation loss ${validationLoss.toPrecision(4)}`}`,
});
