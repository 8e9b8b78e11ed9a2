/** The parts of a report that say what was found: minimal sets, verification, dormant features, interactions, controls (docs/report.md). */
import type { Count, FeatureName, JudgementFacts } from './report-type.js';

export interface ProofFacts {
  readonly layer: number;
  readonly deltaNorm: number;
  readonly activeEdits: number;
  readonly activePairs: number;
  readonly residualNorm: number;
}

export interface MinimalSetFacts {
  readonly promptId: string;
  readonly category: string;
  readonly outcome: 'found' | 'no flip' | 'not refused';
  readonly method: 'group' | 'greedy' | 'paper';
  readonly members: readonly {
    readonly feature: FeatureName;
    readonly cosine: number;
    /** Largest activation on the clean prompt over the edited positions; 0: dormant. */
    readonly cleanActivation: number;
    /** Score with the set off but for this member; above 0: it is needed. */
    readonly restoredScore: number;
    /** Score with this member alone off. */
    readonly aloneScore: number;
  }[];
  readonly cleanScore: number;
  readonly allOffScore: number;
  /** null without a set. */
  readonly setScore: number | null;
  /** Candidates a layer at which all off flipped, and every K that was tried. */
  readonly candidatesPerLayer: number;
  readonly tried: readonly number[];
  readonly oneMinimal: boolean;
  readonly evaluations: number;
  /** The greedy path, from all candidates off to the set. */
  readonly path: readonly {
    readonly featuresOff: number;
    readonly score: number;
    readonly flipped: boolean;
    readonly action: string;
  }[];
  readonly proof: readonly ProofFacts[];
}

export interface SharedFeature {
  readonly feature: FeatureName;
  readonly layer: number;
  /** Minimal sets it is in, of all that were found. */
  readonly sets: Count;
  readonly promptIds: readonly string[];
  /** Sets by category. */
  readonly categories: Readonly<Record<string, number>>;
  /** Mean over those sets. */
  readonly meanRestoredScore: number;
  readonly meanCleanActivation: number;
  readonly cosine: number;
}

export interface Verification {
  readonly flips: readonly ({ readonly promptId: string; readonly proof: readonly ProofFacts[] } & JudgementFacts)[];
  readonly complied: number;
  readonly refused: number;
  readonly partial: number;
  readonly degenerate: number;
  readonly judgeFailed: number;
  readonly total: number;
  /** "score below 0" against "complied or partial"; degenerate answers and failed judgements left out. */
  readonly agreement: Count;
  /** The same answers by the length at which they are cut. Absent from reports of versions without it. */
  readonly byLength?: readonly LengthAgreementFacts[];
}

/** What the judge reads in answers cut after so many tokens, and whether the sign of the score says the same. */
export interface LengthAgreementFacts {
  readonly tokens: number;
  readonly complied: number;
  readonly partial: number;
  readonly refused: number;
  readonly degenerate: number;
  readonly judgeFailed: number;
  /** Answers that had ended by then. */
  readonly ended: number;
  /** Degenerate answers and failed judgements left out. */
  readonly agreement: Count;
  /** Refused at this length, of those that complied at a shorter one. */
  readonly delayedRefusals: Count;
  /** Complied at this length, if only in part, of those that were refused at a shorter one. */
  readonly withdrawnRefusals: Count;
}

export interface DormantFacts {
  readonly promptId: string;
  /** Members of the set with no clean activation. */
  readonly dormantMembers: readonly FeatureName[];
  readonly woken: readonly {
    readonly feature: FeatureName;
    /** Largest activation once the set is off. */
    readonly activation: number;
    readonly position: number;
    /** "bos", "template" or "content". */
    readonly positionKind: string;
    readonly setScore: number;
    readonly setAndFeatureScore: number;
    readonly intactEffect: number;
    readonly conditionalEffect: number;
  }[];
  /** Woken features that were tested, of all that woke. */
  readonly tested: Count;
}

export interface Interactions {
  /** Features the factorization machine saw, most shared first. */
  readonly features: readonly FeatureName[];
  /** Fit on ablation masks with the refusal score (causal); null if it could not be fitted (the reason is a warning). */
  readonly masks: FitFacts | null;
  /** Fit on activations with harmful/harmless labels (the paper's form); null if it could not be fitted. */
  readonly activations: FitFacts | null;
  /** The strongest pairs of `masks`, measured by exact 2x2 ablations. */
  readonly confirmed: readonly ConfirmedPair[];
}

export interface FitFacts {
  readonly rank: number;
  readonly trainRows: number;
  readonly validationRows: number;
  readonly testRows: number;
  readonly epochs: number;
  /** On the same held-out rows. */
  readonly factorizationMachine: MetricFacts;
  readonly linear: MetricFacts;
  /** Lasso on all pairs, and boosted trees read as pairs; null where it was not fitted (activations, or too much to fit). */
  readonly allPairs: MetricFacts | null;
  readonly boostedTrees: MetricFacts | null;
  /** `pairsFrom` if it validates better than the linear model by 10 %; else linear: nothing is known that acts together. */
  readonly chosen: FitModelName;
  /** Least validation loss of those that have pairs: `mainEffects` and `pairs` are its. */
  readonly pairsFrom: FitModelName;
  /** Of the machine. */
  readonly intercept: number;
  /** Same order as `Interactions.features`. */
  readonly mainEffects: readonly number[];
  /** By decreasing |effect|. */
  readonly pairs: readonly { readonly first: FeatureName; readonly second: FeatureName; readonly effect: number }[];
}

export type FitModelName = 'linear' | 'factorizationMachine' | 'allPairs' | 'boostedTrees';

/** Held out, but for `validationLoss`. Only the metrics that the loss has; null where it has none. */
export interface MetricFacts {
  readonly r2: number | null;
  readonly rmse: number | null;
  readonly accuracy: number | null;
  readonly logLoss: number | null;
  readonly signAgreement: number | null;
  /** On the rows that choose penalties and model: squared error over the target's variance, or nats. */
  readonly validationLoss: number | null;
}

export interface ConfirmedPair {
  readonly first: FeatureName;
  readonly second: FeatureName;
  /** The factorization machine's <v_i, v_j>. */
  readonly predicted: number;
  /** Mean of the measured interactions over the prompts below. */
  readonly measured: number;
  readonly prompts: readonly {
    readonly promptId: string;
    readonly neither: number;
    readonly firstOff: number;
    readonly secondOff: number;
    readonly bothOff: number;
    /** bothOff - firstOff - secondOff + neither */
    readonly interaction: number;
  }[];
}

export type ControlArmName = 'randomFeatures' | 'randomActiveFeatures' | 'randomDirections' | 'directionAblation';

export interface ControlArmFacts {
  readonly flips: Count;
  readonly meanScoreChange: number;
  /** Draws whose edit changed nothing; in the denominator, not counted as flips. */
  readonly didNotAct: number;
}

export interface ControlsFacts {
  /** The sets themselves, for comparison. */
  readonly minimalSets: ControlArmFacts;
  readonly randomFeatures: ControlArmFacts | null;
  readonly randomActiveFeatures: ControlArmFacts | null;
  readonly randomDirections: ControlArmFacts | null;
  readonly directionAblation: ControlArmFacts | null;
}
