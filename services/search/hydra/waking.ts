/**
 * What wakes once a set is off, and what wakes once that is off as well, and so on until nothing new does. Waking is strict: zero at
 * every edited position of the clean prompt, above zero afterwards. It proves nothing yet; effects are measured elsewhere.
 */

import { type FeatureId, formatFeature } from '../../../shared/tensors/feature-name.js';
import type { Positions } from '../../../shared/tensors/positions.js';
import type { PreparedPrompt } from '../model/evaluator.js';
import { createFeatureBank } from '../model/feature-bank.js';
import { type Activations, type PeakActivation, readActivations } from '../model/read-activations.js';
import type { SearchContext } from '../model/scoring.js';
import { type LayerFeatures, readSuppressed } from '../stages/find-dormant.js';

export interface WakingRequest {
  readonly prompt: PreparedPrompt;
  /** What is switched off first, chosen on the clean prompt; of it only what is on there. */
  readonly first: (clean: Activations) => readonly FeatureId[];
  readonly positions: Positions;
  /** Where to look: features of each layer, undefined for its whole SAE. */
  readonly searched: LayerFeatures;
  /** Woken features a round that are taken on, largest activation first. */
  readonly maxTested: number;
  readonly maxRounds: number;
}

export interface WokenInRound extends PeakActivation {
  /** 1: woke once the set was off; 2: once what woke in round 1 was off too; ... */
  readonly round: number;
}

export interface Waking {
  /** Those of the first that are on in the clean prompt: the others have to wake like any other feature. */
  readonly primaries: readonly FeatureId[];
  readonly woken: readonly WokenInRound[];
  /** How many woke in each round, taken on or not. */
  readonly counts: readonly number[];
  /** Features on in the clean prompt at the primaries' layers, primaries left out: what null sets are drawn from. */
  readonly activeElsewhere: readonly FeatureId[];
}

export async function followWaking(context: SearchContext, request: WakingRequest): Promise<Waking> {
  const { prompt, positions, searched } = request;
  const clean = await readActivations(context, { prompt, positions, layers: searched });
  const primaries = request.first(clean).filter((member) => clean.peaks.has(formatFeature(member)));
  const woken: WokenInRound[] = [];
  const counts: number[] = [];
  const known = new Set(clean.peaks.keys());
  for (let round = 1; round <= request.maxRounds && primaries.length > 0; round++) {
    const set = [...primaries, ...woken];
    const bank = await createFeatureBank(context, set, positions);
    const awake = await readSuppressed(context, prompt, { set, positions }, bank, searched);
    const fresh = [...awake]
      .filter(([name]) => !known.has(name))
      .map(([, peak]) => peak)
      .sort((a, b) => b.value - a.value || a.layer - b.layer || a.index - b.index);
    if (fresh.length === 0) break;
    counts.push(fresh.length);
    for (const peak of fresh) known.add(formatFeature(peak));
    woken.push(...fresh.slice(0, request.maxTested).map((peak) => ({ ...peak, round })));
  }
  const own = new Set(primaries.map(formatFeature));
  const layers = new Set(primaries.map(({ layer }) => layer));
  const activeElsewhere = [...clean.peaks.values()].filter(
    (peak) => layers.has(peak.layer) && !own.has(formatFeature(peak)),
  );
  return { primaries, woken, counts, activeElsewhere };
}
