/** Results of the FM service as the contract has them. A measure that could not be computed stays absent. */
import type { FitMetrics, FitResult } from '../../proto/gen/refusalscope/v1/fm.js';
import type { Progress } from '../../proto/gen/refusalscope/v1/types.js';
import { encodeMatrix } from '../../shared/tensors/matrix.js';
import type { Loss } from './design-matrix.js';
import type { FitQuality } from './evaluate-fit.js';
import type { FitReport } from './fit-with-baseline.js';
import type { FitProgress } from './steps.js';

export function toFitResult({ fit, linear, quality, split, interactions }: FitReport): FitResult {
  const { machine, epochs } = fit;
  const { columns, rank, loss } = machine;
  return {
    machine: {
      intercept: machine.intercept,
      weights: Array.from(machine.weights),
      factors: encodeMatrix({ rows: columns, cols: rank, data: Float32Array.from(machine.factors) }),
    },
    factorizationMachineMetrics: toMetrics(quality.machine.test, loss),
    linearMetrics: toMetrics(quality.linear.test, loss),
    ...(quality.allPairs && { allPairsMetrics: toMetrics(quality.allPairs.test, loss) }),
    interactions: interactions.map(({ first, second, weight }) => ({ first, second, effect: weight })),
    mainEffects: Array.from(machine.weights),
    trainRows: split.train.length,
    validationRows: split.validation.length,
    testRows: split.test.length,
    epochsRun: epochs,
    linearWeights: Array.from(linear.weights),
  };
}

const toMetrics = ({ r2, rootMeanSquare, accuracy, logLoss }: FitQuality, loss: Loss): FitMetrics =>
  loss === 'squared' ? { r2, rmse: rootMeanSquare, signAgreement: accuracy } : { accuracy, logLoss };

export const toProgress = ({ model, epoch, epochs, trainLoss, validationLoss }: FitProgress): Progress => ({
  stage: model,
  done: epoch,
  total: epochs,
  evaluations: 0,
  evaluationsReused: 0,
  detail: `train loss ${trainLoss.toPrecision(4)}${validationLoss === undefined ? '' : `, validation loss ${validationLoss.toPrecision(4)}`}`,
});
