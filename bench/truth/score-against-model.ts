/** Sets and pairs of every searched prompt against what the model that was built does there, subset by subset. */

import { measureTruth, type NamedFeature } from './measure-truth.js';
import type { PlantedModel } from './plant/plant-model.js';
import { type Peers, type RecoveredPrompt, type Recovery, toPrompt } from './recover.js';
import { type FamilyScore, type NameOf, scoreFamily } from './score-family.js';
import { namesIn } from './score-recovery.js';
import { addScores, type Share, share } from './tally.js';
import { type FamilyTruth, truthOf } from './truth.js';

export interface AgainstModel extends FamilyScore {
  /** Prompts in which the model refuses under some subset where its description complies, or the other way round. */
  readonly departing: Share;
}

/** Undefined for a mechanism with too many features to try every subset. */
export async function scoreAgainstModel(
  planted: PlantedModel,
  recovery: Recovery,
  peers: Peers,
): Promise<AgainstModel | undefined> {
  const context = { ...peers, signal: new AbortController().signal, onProgress: () => {}, onEvaluation: () => {} };
  const { score, positions } = recovery;
  const nameOf = namesIn(planted);
  const scores: AgainstModel[] = [];
  for (const { category, prompts } of recovery.categories) {
    const described = truthOf(planted.mechanism, category);
    for (const recovered of prompts) {
      const asked = { prompt: toPrompt(recovered.prompt), score, positions };
      const measured = await measureTruth(context, asked, featuresToTry(planted, described.causal, recovered, nameOf));
      if (measured === undefined) return undefined;
      const family = scoreFamily(recovered, measured, nameOf);
      scores.push({ ...family, departing: share(differ(measured, described)) });
    }
  }
  return addScores(scores);
}

/** The causal features, in their order, then what else is in a set that was found. */
function featuresToTry(
  planted: PlantedModel,
  causal: readonly string[],
  { family, set }: RecoveredPrompt,
  nameOf: NameOf,
): NamedFeature[] {
  const found = new Map(
    [...family.members, ...set.members].map(({ layer, index }) => [nameOf({ layer, index }), { layer, index }]),
  );
  const others = [...found].filter(([name]) => !causal.includes(name));
  return [
    ...causal.map((name) => ({ name, ...planted.places.get(name)! })),
    ...others.map(([name, place]) => ({ name, ...place })),
  ];
}

/** Of subsets of the causal features, whose masks are the lowest in both. */
const differ = (measured: FamilyTruth, described: FamilyTruth): boolean =>
  described.scores.some((score, i) => score < 0 !== measured.scores[i]! < 0);
