/** How often prompts flip by what needs no search, beside the audit's own sets, by the number of features off (docs/report.md). */
import type { ControlArmFacts, Count, FeatureName } from './report-type.js';

/** In the order in which they are shown. */
export const RANKING_NAMES = [
  'sharedFeatures',
  'cosine',
  'activationDifference',
  'probeWeight',
  'randomActive',
] as const;

export type RankingName = (typeof RANKING_NAMES)[number];

export interface AlternativesFacts {
  /** Searched prompts that are refused, all of them or an even choice: what everything here is measured on. */
  readonly prompts: number;
  /** Each prompt's own minimal set. A prompt without one is in `of`. */
  readonly minimalSets: {
    /** Prompts that a set of at most so many features flips. */
    readonly points: readonly { readonly features: number; readonly flips: Count }[];
    readonly flipsHalfAt: number | null;
  };
  readonly rankings: readonly RankingFacts[];
  /** The selected direction at every layer; null if none was selected. */
  readonly directionAblation: ControlArmFacts | null;
  /** Prompts of each label that activations were compared over. */
  readonly rankedOn: { readonly harmful: number; readonly harmless: number };
  /** Prompts that the probe puts on their own side without having seen them. */
  readonly probeAccuracy: Count;
}

export interface RankingFacts {
  readonly ranking: RankingName;
  /** The first ones; empty for randomActive, which has another order for each prompt. */
  readonly first: readonly FeatureName[];
  /** By the number of features off, ascending, as far as the ranking goes. */
  readonly points: readonly ({ readonly features: number } & ControlArmFacts)[];
  /** The fewest features, of the numbers tried, that flip half of the prompts; null if none does. */
  readonly flipsHalfAt: number | null;
}
