/** Every way to find interactions that the bench compares, on the same rows and the same split. */
import { fitBoostedTrees } from '../../services/fm/boosted-trees.js';
import { chooseModel, type ModelName } from '../../services/fm/choose-model.js';
import { asSurrogate, type Surrogate } from '../../services/fm/factorization-machine.js';
import type { FitData } from '../../services/fm/fit-data.js';
import { fitFactorizationMachine } from '../../services/fm/fit-factorization-machine.js';
import { fitLinearModel } from '../../services/fm/linear-model.js';
import { asPairwiseSurrogate } from '../../services/fm/pairwise-model.js';
import { fitPairwiseRegression, type PairwiseFit } from '../../services/fm/pairwise-regression.js';
import { runStepsNow, type Steps } from '../../services/fm/steps.js';

/** `chosen` is what Fit answers with: of the machine, the lasso and the trees the one that validates best. */
export const METHODS = ['linear', 'machine', 'ridge', 'lasso', 'trees', 'chosen'] as const;
export type Method = (typeof METHODS)[number];

export const METHOD_TITLES: Readonly<Record<Method, string>> = {
  linear: 'linear',
  machine: 'factorization machine',
  ridge: 'all-pairs ridge',
  lasso: 'all-pairs lasso',
  trees: 'boosted trees',
  chosen: 'chosen by Fit',
};

export interface MethodFit {
  readonly name: ModelName;
  readonly surrogate: Surrogate;
  readonly validationLoss: number;
  /** Of processor time. */
  readonly ms: number;
}

/** The seed is that of the machine's starts. */
export function fitMethods(data: FitData, seed: number): Readonly<Record<Method, MethodFit>> {
  const { linear, machine, lasso, trees, chosen } = fitChosen(data, seed);
  const ridge = fitPairs('all-pairs', () => fitPairwiseRegression(data, { penalty: 'ridge' }));
  return { linear, machine, ridge, lasso, trees, chosen };
}

/** The same without ridge, which takes longest and is never chosen. */
export function fitChosen(data: FitData, seed: number): Readonly<Record<Exclude<Method, 'ridge'>, MethodFit>> {
  const linear = timed('linear', () => {
    const surrogate = runStepsNow(fitLinearModel(data));
    return { surrogate, validationLoss: surrogate.validationLoss };
  });
  const machine = timed('factorization-machine', () => {
    const fit = runStepsNow(fitFactorizationMachine(data, { seed }));
    return { surrogate: asSurrogate(fit.machine), validationLoss: fit.validationLoss };
  });
  const lasso = fitPairs('all-pairs', () => fitPairwiseRegression(data, { penalty: 'lasso' }));
  const trees = fitPairs('boosted-trees', () => fitBoostedTrees(data));
  const { pairs } = chooseModel([linear, machine, lasso, trees]);
  const ms = linear.ms + machine.ms + lasso.ms + trees.ms;
  return { linear, machine, lasso, trees, chosen: { ...pairs, ms } };
}

const fitPairs = (name: ModelName, steps: () => Steps<PairwiseFit>): MethodFit =>
  timed(name, () => {
    const { model, validationLoss } = runStepsNow(steps());
    return { surrogate: asPairwiseSurrogate(model), validationLoss };
  });

function timed(name: ModelName, run: () => Omit<MethodFit, 'name' | 'ms'>): MethodFit {
  const start = process.cpuUsage();
  const fitted = run();
  const { user, system } = process.cpuUsage(start);
  return { name, ...fitted, ms: (user + system) / 1000 };
}
