/** What many edits that stand beside a finding did: flips with their denominator, and those that changed nothing among the rest. */
import type { Evaluation } from '../model/model-port.js';

export interface ControlArm {
  readonly flips: number;
  /** Draws over all cases; for edits that are the same for all, cases. */
  readonly total: number;
  readonly meanScoreChange: number;
  /** Counted in `total`, not in `flips`. */
  readonly didNotAct: number;
}

export interface ScoredEdit {
  readonly evaluation: Evaluation;
  readonly cleanScore: number;
}

export function summariseArm(edits: readonly ScoredEdit[]): ControlArm {
  const changes = edits.map(({ evaluation, cleanScore }) => evaluation.refusalScore - cleanScore);
  return {
    flips: edits.filter(({ evaluation }) => evaluation.acted && evaluation.refusalScore < 0).length,
    total: edits.length,
    meanScoreChange: edits.length === 0 ? 0 : changes.reduce((sum, change) => sum + change, 0) / changes.length,
    didNotAct: edits.filter(({ evaluation }) => !evaluation.acted).length,
  };
}
