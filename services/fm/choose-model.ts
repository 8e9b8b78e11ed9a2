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
  /** Least validation loss of all; the simpler one where two are equal. Linear: nothing is known that acts together. */
  readonly best: Model;
  /** The same among those that have pairs: the one whose pairs are reported. */
  readonly pairs: Model;
}

/** @param models from simple to complex, one with pairs among them. */
export function chooseModel<Model extends FittedModel>(models: readonly Model[]): Choice<Model> {
  const least = (among: readonly Model[]) => among.reduce((a, b) => (b.validationLoss < a.validationLoss ? b : a));
  return { best: least(models), pairs: least(models.filter(({ name }) => name !== 'linear')) };
}
