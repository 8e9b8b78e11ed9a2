/** A bank that ablates given features, with their places in it: the SAE service orders rows its own way, callers think in features. */

import { fault } from '../../../shared/errors/fault.js';
import { type FeatureId, formatFeature } from '../../../shared/tensors/feature-name.js';
import type { Positions } from '../../../shared/tensors/positions.js';
import { type Bank, EMPTY_BANK, indexEdits } from './bank.js';
import type { SearchContext } from './scoring.js';

export interface FeatureBank {
  readonly bank: Bank;
  /** The edits that switch these features off. @throws FEATURE_UNKNOWN for one that the bank lacks. */
  edits(features: readonly FeatureId[]): number[];
}

/** Features may repeat; the bank holds each once. */
export async function createFeatureBank(
  context: Pick<SearchContext, 'saes' | 'signal'>,
  features: readonly FeatureId[],
  positions: Positions,
): Promise<FeatureBank> {
  const distinct = [...new Map(features.map((feature) => [formatFeature(feature), feature])).values()];
  const bank = distinct.length === 0 ? EMPTY_BANK : await context.saes.ablations(distinct, positions, context.signal);
  return { bank, edits: (wanted) => [...new Set(indexEdits(bank, wanted.map(formatFeature)))] };
}

/** @throws REQUEST_INVALID for no feature at all, or one named twice. */
export function assertDistinctFeatures(features: readonly FeatureId[], what: string): void {
  if (features.length === 0) throw fault('REQUEST_INVALID', `${what} names no features; at least one is needed.`);
  const seen = new Set<string>();
  for (const name of features.map(formatFeature)) {
    if (seen.has(name)) throw fault('REQUEST_INVALID', `${what} names feature ${name} twice; each may stand once.`);
    seen.add(name);
  }
}
