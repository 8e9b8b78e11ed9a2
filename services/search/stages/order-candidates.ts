/**
 * The order in which group testing tries candidates: a first-order estimate of what each one's loss does, at the price of one
 * forward pass. Switching a feature off moves the residual by its activation along its decoder row, of which the cosine is the part
 * along the direction; the residual's own norm says how much that is there. It is a guess: the certificate decides.
 */

import { formatFeature } from '../../../shared/tensors/feature-name.js';
import type { Positions } from '../../../shared/tensors/positions.js';
import type { OffSet } from '../filter/filter.js';
import type { PreparedPrompt } from '../model/evaluator.js';
import { type Activations, groupByLayer, readActivations } from '../model/read-activations.js';
import type { RankedFeature } from '../model/sae-port.js';
import type { SearchContext } from '../model/scoring.js';

export interface CandidateOrder {
  /** Active ones first, by decreasing estimate; then those that are zero on the clean prompt, by cosine. */
  readonly byEstimate: OffSet;
  readonly activeCount: number;
  readonly byCosine: OffSet;
  /** Largest activation of each candidate on the clean prompt over the edited positions; 0 is dormant there. */
  readonly cleanActivations: readonly number[];
}

export async function orderCandidates(
  context: SearchContext,
  prompt: PreparedPrompt,
  candidates: readonly RankedFeature[],
  positions: Positions,
): Promise<CandidateOrder> {
  return orderByEstimate(
    candidates,
    await readActivations(context, { prompt, positions, layers: groupByLayer(candidates) }),
  );
}

/** The same from activations of the clean prompt that are read already, the candidates' and their layers' among them. */
export function orderByEstimate(
  candidates: readonly RankedFeature[],
  { peaks, residualNorms }: Activations,
): CandidateOrder {
  const cleanActivations = candidates.map((candidate) => peaks.get(formatFeature(candidate))?.value ?? 0);
  const estimates = candidates.map(
    ({ layer, cosine }, i) => (cleanActivations[i]! * cosine) / (residualNorms.get(layer) || 1),
  );
  const indices = candidates.map((_, i) => i);
  const byCosine = indices.toSorted((a, b) => candidates[b]!.cosine - candidates[a]!.cosine || a - b);
  const active = byCosine.filter((i) => cleanActivations[i]! > 0);
  const dormant = byCosine.filter((i) => cleanActivations[i] === 0);
  return {
    byEstimate: [...active.sort((a, b) => estimates[b]! - estimates[a]!), ...dormant],
    activeCount: active.length,
    byCosine,
    cleanActivations,
  };
}
