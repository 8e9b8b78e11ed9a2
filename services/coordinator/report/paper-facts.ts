/** What an audit with the paper's settings measured for the paper's tables (docs/report.md). */
import type { Count, FeatureName } from './report-type.js';

export interface PaperFacts {
  readonly settings: {
    readonly blockSize: number;
    readonly seeds: number;
    readonly threshold: number;
    readonly fmRank: number;
    readonly fmLearningRate: number;
    readonly fmEpochs: number;
  };
  /** Prompts that comply, of the searched ones: with all candidates off, and with the set of stage 2 off by score and by judged text. */
  readonly jailbreaks: { readonly allOff: Count; readonly setByScore: Count; readonly setByText: Count };
  readonly sweep: readonly SweepStep[];
  readonly features: {
    /** Distinct features of all candidates, and of all sets. */
    readonly candidates: number;
    readonly inSets: number;
    /** Distinct set members that are silent on their clean prompt and without which the set does not flip. */
    readonly dormantYetNeeded: number;
  };
  /** Features that woke once a set was off and were tested, by kind of the token at which they are strongest. */
  readonly wakeUps: { readonly bos: number; readonly template: number; readonly content: number };
  /** null if the machine could not be fitted (the reason is a warning). */
  readonly stageThree: StageThree | null;
}

export interface SweepStep {
  readonly threshold: number;
  /** Sets that flip their prompt by score, of the searched prompts. */
  readonly flips: Count;
  readonly distinctFeatures: number;
  /** null if no set was found. */
  readonly meanSize: number | null;
}

export interface StageThree {
  readonly rows: number;
  readonly testRows: number;
  /** On the same held-out prompts; null: too few of them. */
  readonly fmAccuracy: number | null;
  readonly linearAccuracy: number | null;
  readonly topFeatures: readonly FeatureName[];
  readonly ablations: readonly TopAblation[];
  readonly deactivation: Deactivation | null;
  readonly crossEntropy: readonly TextCost[];
}

/** The first `features` features of each ranking off, of all candidates. */
export interface TopAblation {
  readonly features: number;
  readonly fmFlips: Count;
  readonly linearFlips: Count;
}

/** Members of stage-2 sets that fall silent once the machine's first `features` features are off; these themselves are left out. */
export interface Deactivation {
  readonly features: number;
  readonly prompts: number;
  readonly silenced: Count;
  /** Largest share in one prompt. */
  readonly largestShare: number;
  /** Mean relative drop of the activation over all members that were on; negative: it rose. */
  readonly meanDrop: number;
}

export interface TextCost {
  readonly text: 'harmless prompts' | 'plain text';
  readonly texts: number;
  readonly tokens: number;
  /** Nats a token. */
  readonly clean: number;
  readonly ablated: readonly { readonly features: number; readonly natsPerToken: number }[];
}
