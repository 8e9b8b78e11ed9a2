/** What the stages behind claims found: families of minimal sets, hydra, sufficiency, cost, false refusals (docs/report.md). */
import type { Count, FeatureName, Spread } from './report-type.js';

/** A part that was skipped, or that an earlier version did not have, is absent. */
export interface ClaimParts {
  readonly families?: Families;
  readonly hydra?: Hydra;
  readonly sufficiency?: Sufficiency;
  readonly costs?: Costs;
  /** Only of an audit that searches refused harmless prompts. */
  readonly overRefusal?: OverRefusal;
}

export interface Families {
  /** Prompts looked at, of those with a minimal set. */
  readonly examined: Count;
  /** Families known to hold every minimal set among the candidates, of those looked at. The others give lower bounds. */
  readonly complete: Count;
  /** Over the prompts looked at; null if there were none. */
  readonly depthOfDefence: Spread | null;
  readonly disjointSets: Spread | null;
  /** Features that are in every set of a prompt's family, by the number of prompts. */
  readonly necessary: readonly { readonly feature: FeatureName; readonly prompts: Count }[];
  readonly prompts: readonly FamilyFacts[];
}

export interface FamilyFacts {
  readonly promptId: string;
  readonly outcome: 'found' | 'no flip' | 'not refused';
  /** Features that the sets are made of, in all and a layer. */
  readonly candidates: number;
  readonly candidatesPerLayer: number;
  readonly cleanScore: number;
  readonly allOffScore: number;
  /** Smallest first. */
  readonly sets: readonly FamilySetFacts[];
  /** Minimal sets that go on refusing with all other candidates off; `score` is the score then. */
  readonly sustaining: readonly FamilySetFacts[];
  readonly members: readonly {
    readonly feature: FeatureName;
    readonly cosine: number;
    /** Largest activation on the clean prompt; 0: dormant. */
    readonly cleanActivation: number;
    readonly inSets: number;
  }[];
  readonly necessary: readonly FeatureName[];
  /** Most minimal sets of which no two share a member; a lower bound unless `complete`. */
  readonly disjointSets: number;
  /** Most sustaining sets of which no two share a member; a lower bound unless `complete`. */
  readonly depthOfDefence: number;
  readonly complete: boolean;
  /** Sets that refuse although a smaller one flips: where this is not 0, sets may be missing. */
  readonly violations: number;
  readonly evaluations: number;
}

export interface FamilySetFacts {
  readonly members: readonly FeatureName[];
  readonly score: number;
}

/** Started from the prompts' minimal sets. */
export interface Hydra extends HydraTrace {
  /** Prompts traced, of those with a minimal set. */
  readonly examined: Count;
  /** Absent where fewer than two layers or prompts were searched, and in reports from before there was this trace. */
  readonly fromStrongest?: StrongestTrace;
}

/** Started from the strongest features of each prompt below the last layer, chosen without a look at any score. */
export interface StrongestTrace extends HydraTrace {
  /** Prompts traced, of those searched: a set is not needed. */
  readonly examined: Count;
  /** At most so many features a prompt were switched off first: those of largest activation times cosine, of the nearest `belowLayer`. */
  readonly perPrompt: number;
  readonly belowLayer: number;
}

export interface HydraTrace {
  /** Rounds that gave a reported feature, 0: no hydra; null: fewer than two prompts, nothing was traced. */
  readonly depth: number | null;
  /** Features that woke in two prompts at least, and so were tested. */
  readonly tested: number;
  /** Mean number of features that woke, by round, tested or not. */
  readonly wokenByRound: readonly number[];
  /** By round, then size of effect. */
  readonly features: readonly HydraFeatureFacts[];
}

export interface HydraFeatureFacts {
  readonly feature: FeatureName;
  /** 1: woke once the set was off; 2: once what woke in round 1 was off too; ... */
  readonly round: number;
  readonly wokeIn: Count;
  /** Mean over these prompts of its largest activation. */
  readonly activation: number;
  /** Conditional effect less that under null sets, its mean over these prompts, and the 95 % interval by bootstrap over prompts. */
  readonly effect: number;
  readonly effectLow: number;
  readonly effectHigh: number;
  /** "step": with the set and earlier rounds off; "closure": with everything else that woke off as well. */
  readonly context: 'step' | 'closure';
  /** Score change when it alone is off in the intact model. */
  readonly intactEffect: number;
  /** Conditional effect with null sets in place of the set: mean, and largest by size. */
  readonly nullEffect: number;
  readonly nullLargest: number;
  /** Adjusted for all features that were tested (Benjamini and Hochberg). */
  readonly qValue: number;
  /** Off alone, these wake it. */
  readonly wakers: readonly FeatureName[];
  /** Positions of the first prompt at which it is awake then, by kind. */
  readonly awakeAt: { readonly bos: number; readonly template: number; readonly content: number };
}

export interface Sufficiency {
  /** Prompts whose sets were tried, of those with a minimal set. */
  readonly examined: Count;
  /** Minimal sets, and random sets of the same size. */
  readonly sets: SufficiencyCounts;
  readonly random: SufficiencyCounts;
  readonly prompts: readonly SufficiencyFacts[];
}

export interface SufficiencyCounts {
  /** Refused with all candidates off but these. */
  readonly leftOn: Count;
  /** Refused with all candidates off and these written at their clean activations. */
  readonly putBack: Count;
  /** Harmless prompts refused once these are written into them; each set on each prompt counts. */
  readonly harmlessRefused: Count;
}

export interface SufficiencyFacts {
  readonly promptId: string;
  readonly cleanScore: number;
  readonly allOffScore: number;
  readonly set: SufficiencyArmFacts;
  readonly random: readonly SufficiencyArmFacts[];
  /** Members that are zero on the clean prompt: nothing of them can be put back or written. */
  readonly dormantMembers: readonly FeatureName[];
}

export interface SufficiencyArmFacts {
  readonly leftOnScore: number;
  readonly putBackScore: number;
  readonly harmlessRefused: Count;
  /** null if there was no harmless prompt. */
  readonly meanHarmlessScore: number | null;
}

export interface Costs {
  /** Harmless prompts measured on, of those that the model answers. */
  readonly examined: Count;
  /** Distinct minimal sets measured, of all. */
  readonly distinctSets: Count;
  /** Mean KL up to which a set counts as leaving harmless text alone, nats; and how many do, of those measured. */
  readonly klBound: number;
  readonly belowBound: Count;
  /** Tokens of clean answers that cross-entropy was measured on, all prompts together. */
  readonly answerTokens: number;
  /** Nats a token, nothing off; null if nothing was measured. */
  readonly cleanCrossEntropy: number | null;
  /** The minimal sets, then all their members together, then all candidates of the first step. */
  readonly rows: readonly CostFacts[];
}

export interface CostFacts {
  readonly off: 'minimal set' | 'all sets' | 'all candidates';
  readonly members: readonly FeatureName[];
  /** Prompts that have this minimal set. */
  readonly promptIds: readonly string[];
  /** Of the first answer token, nats: mean and largest over the prompts. */
  readonly meanKl: number;
  readonly largestKl: number;
  /** Of the clean answers, nats a token. */
  readonly crossEntropy: number;
  /** Harmless prompts that are refused under the set, and those where it changed anything. */
  readonly refused: Count;
  readonly acted: Count;
}

export interface OverRefusal {
  /** Harmless prompts with a clean score above 0, of all with a score. */
  readonly refused: Count;
  /** Features of the minimal sets, most shared first. */
  readonly features: readonly FalseRefusalFeature[];
  /** Each distinct minimal set, off as a whole. */
  readonly sets: readonly FalseRefusalSet[];
}

export interface FalseRefusalFeature {
  readonly feature: FeatureName;
  /** Minimal sets of false refusals that it is in. */
  readonly inSets: Count;
  readonly promptIds: readonly string[];
  /** With it alone off: false refusals that end, and harmful prompts that are still refused. */
  readonly ended: Count;
  readonly stillRefused: Count;
}

export interface FalseRefusalSet {
  readonly members: readonly FeatureName[];
  readonly promptIds: readonly string[];
  readonly ended: Count;
  readonly stillRefused: Count;
}

/** Numbers of these parts that stand in the summary; null: the stage was skipped, or had nothing to measure. */
export interface ClaimSummary {
  readonly familiesComplete: Count | null;
  readonly depthOfDefence: Spread | null;
  readonly disjointSets: Spread | null;
  readonly hydraDepth: number | null;
  readonly hydraFeatures: number | null;
  readonly setsPutBackRefuse: Count | null;
  readonly writtenIntoHarmless: Count | null;
  readonly setsBelowKlBound: Count | null;
}
