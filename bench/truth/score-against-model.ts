/** Sets and pairs of every searched prompt against what the model that was built does there, subset by subset. */

import { measureTruth } from './measure-truth.js';
import type { PlantedModel } from './plant/plant-model.js';
import { type Peers, type Recovery, toPrompt } from './recover.js';
import { type FamilyScore, scoreFamily } from './score-family.js';
import { namesIn } from './score-recovery.js';
import { addScores, type Share, share } from './tally.js';
import { type FamilyTruth, truthOf } from './truth.js';

export interface AgainstModel extends FamilyScore {
  /** Prompts in which the model refuses under some subset where its description complies, or the other way round. */
  readonly departing: Share;
}

/** Undefined for a mechanism with too many causal features to try every subset. */
export async function scoreAgainstModel(
  planted: PlantedModel,
  recovery: Recovery,
  peers: Peers,
): Promise<AgainstModel | undefined> {
  const context = { ...peers, signal: new AbortController().signal, onProgress: () => {}, onEvaluation: () => {} };
  const { score, positions } = recovery;
  const scores: AgainstModel[] = [];
  for (const { category, prompts } of recovery.categories) {
    const described = truthOf(planted.mechanism, category);
    for (const recovered of prompts) {
      const asked = { prompt: toPrompt(recovered.prompt), score, positions };
      const measured = await measureTruth(context, planted, asked, described.causal);
      if (measured === undefined) return undefined;
      const family = scoreFamily(recovered, measured, namesIn(planted));
      scores.push({ ...family, departing: share(differ(measured, described)) });
    }
  }
  return addScores(scores);
}

const differ = (a: FamilyTruth, b: FamilyTruth): boolean => a.scores.some((score, i) => score < 0 !== b.scores[i]! < 0);
