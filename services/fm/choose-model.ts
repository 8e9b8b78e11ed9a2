/**
 * Which of the models that were fitted to the same rows speaks for them. The validation rows choose, the held-out rows judge: an R2 of
 * rows that also chose would flatter the winner.
 */
import type { SplitQuality } from './evaluate-fit.js';

export type ModelName = 'linear' | 'factorization-machine' | 'all-pairs' | 'boosted-trees';

export interface FittedModel {
  readonly name: ModelName;
  /** Mean loss on the validation rows before any refit: standardised squared error for scores, nats for labels. */
  readonly validationLoss: number;
  readonly quality: SplitQuality;
}

export interface Choice<Model> {
  /** `pairs` if it validates better than the linear model by LEAST_GAIN; else linear: nothing is known that acts together. */
  readonly best: Model;
  /** Least validation loss of those that have pairs, the simpler one where two are equal: the one whose pairs are reported. */
  readonly pairs: Model;
}

/** By so much of the linear model's loss: choosing among dozens of penalties on a few dozen rows gains some per cent by chance, and a sparse fit gains some over ridge without any pair. */
export const LEAST_GAIN = 0.1;

/** @param models from simple to complex: the linear one first, and one with pairs among the others. */
export function chooseModel<Model extends Pick<FittedModel, 'name' | 'validationLoss'>>(
  models: readonly [linear: Model, ...others: Model[]],
): Choice<Model> {
  const [linear, ...others] = models;
  const pairs = others.reduce((a, b) => (b.validationLoss < a.validationLoss ? b : a));
  return { best: pairs.validationLoss < (1 - LEAST_GAIN) * linear.validationLoss ? pairs : linear, pairs };
}
