/**
 * The report of a finished audit, as report.json holds it: plain JSON, keys in camelCase as in proto3's JSON mapping.
 * Everything but `run` is a function of the spec and the model files (docs/report.md: how exactly).
 * Rates are never given alone: every count stands beside its denominator. No prompt and no answer is in it beyond the first
 * words (none if the spec says redactAnswers). docs/report.md explains each field for readers.
 */

import type { ClaimSettings } from '../audit/claim-settings.js';
import type { AlternativesFacts } from './alternatives-facts.js';
import type { ClaimParts, ClaimSummary } from './claim-facts.js';
import type { PaperFacts } from './paper-facts.js';
import type {
  ControlArmName,
  ControlsFacts,
  DormantFacts,
  Interactions,
  LengthAgreementFacts,
  MinimalSetFacts,
  SharedFeature,
  Verification,
} from './report-findings.js';

export type * from './claim-facts.js';
export type * from './report-findings.js';

export const REPORT_SCHEMA = 'refusalscope.report/1';

/** "layer/index". */
export type FeatureName = string;
/** Lower-case hex. */
export type Sha256 = string;

export interface Report extends ClaimParts {
  readonly schema: typeof REPORT_SCHEMA;
  readonly audit: AuditIdentity;
  /** The only volatile part: times and how much work was saved. */
  readonly run: RunFacts;
  readonly settings: Settings;
  readonly provenance: ReportProvenance;
  readonly model: ModelFacts;
  readonly saes: readonly SaeFacts[];
  /** The numbers a reader wants first. */
  readonly summary: Summary;
  readonly openers: Openers;
  readonly prompts: readonly PromptFacts[];
  readonly directions: Directions;
  readonly candidates: Candidates;
  readonly depthProfile: DepthProfileFacts;
  /** One a searched prompt, in the order of `prompts`. */
  readonly minimalSets: readonly MinimalSetFacts[];
  /** Features by the number of minimal sets they are in, most first. */
  readonly sharedFeatures: readonly SharedFeature[];
  readonly verification: Verification;
  /** One a prompt with a minimal set. */
  readonly dormant: readonly DormantFacts[];
  readonly interactions: Interactions;
  readonly controls: ControlsFacts;
  /** Absent from reports of versions without it. */
  readonly alternatives?: AlternativesFacts;
  /** Only of an audit with the paper's settings. */
  readonly paper?: PaperFacts;
  readonly categories: readonly CategoryFacts[];
  readonly warnings: readonly ReportWarning[];
  /** Sentences that belong under every quotation of this report (such as that the model is a model organism). */
  readonly notes: readonly string[];
}

export interface AuditIdentity {
  readonly id: string;
  readonly title: string;
  readonly specSha256: Sha256;
}

export interface RunFacts {
  /** ISO 8601. */
  readonly createdAt: string;
  readonly finishedAt: string;
  /** Seconds of work, over all processes that worked on it. */
  readonly seconds: number;
  readonly stages: readonly { readonly stage: string; readonly seconds: number; readonly evaluations: number }[];
  /** Evaluations asked for, and of these how many were known from before or needed no work of the model. */
  readonly evaluations: number;
  readonly evaluationsReused: number;
  /** How often it was taken up again from a checkpoint. */
  readonly resumed: number;
  /** The command that started it, if one did, as it can be typed again. Shown by the report page; absent otherwise. */
  readonly commandLine?: string;
}

export interface Settings {
  readonly layers: readonly number[];
  readonly growth: readonly number[];
  readonly filterMethod: 'group' | 'greedy' | 'paper';
  /** Such as "instruction", "all", "answer", "3:17"; "+bos" if position 0 is edited too. */
  readonly positions: string;
  readonly seed: number;
  readonly fmMasks: number;
  readonly fmFeatures: number;
  readonly controlDraws: number;
  readonly maxNewTokens: number;
  readonly maxSearchPrompts: number;
  readonly redactAnswers: boolean;
  /** Which prompts were searched; absent: refused harmful ones, or those that the spec names. */
  readonly searched?: 'refused harmless';
  /** Caps of the stages behind claims, and which were skipped; absent in reports from before there were such stages. */
  readonly claims?: ClaimSettings;
  readonly skippedStages?: readonly string[];
}

export interface ReportProvenance {
  readonly model: string;
  readonly weightsSha256: Sha256;
  /** Empty without an adapter. */
  readonly adapterSha256: Sha256 | '';
  readonly tokenizerSha256: Sha256;
  readonly chatTemplateSha256: Sha256;
  readonly computeDtype: string;
  readonly device: string;
  /** By layer, as decimal text. */
  readonly saeSha256: Readonly<Record<string, Sha256>>;
  readonly versions: Readonly<Record<string, string>>;
  /** Over ids, labels, categories and texts, in order. */
  readonly promptSetSha256: Sha256;
  readonly seed: number;
}

export interface ModelFacts {
  readonly name: string;
  readonly architecture: string;
  readonly nLayers: number;
  readonly dModel: number;
  readonly vocabSize: number;
  /** Template tokens after the instruction: the positions -k..-1 that directions are taken at. */
  readonly templateSuffixLength: number;
}

export interface SaeFacts {
  readonly layer: number;
  readonly dSae: number;
  readonly architecture: string;
  readonly format: string;
  readonly sha256: Sha256;
  readonly editsExact: boolean;
  /** What is approximate about its edits; empty if nothing. */
  readonly editsNote: string;
  /** Whether candidates were taken from it. */
  readonly searched: boolean;
  readonly admission: {
    readonly verdict: 'verified' | 'unverified' | 'not measured';
    /** Fraction of variance unexplained. */
    readonly fvu: number;
    readonly l0: number;
    readonly deadShare: number;
    readonly rows: number;
    /** null if the files state none. */
    readonly publishedL0: number | null;
    readonly reason: string;
  };
}

/** A rate with its denominator. `count` of `of`. */
export interface Count {
  readonly count: number;
  readonly of: number;
}

/** Of whole numbers. */
export interface Spread {
  readonly min: number;
  readonly median: number;
  readonly mean: number;
  readonly max: number;
}

export interface Summary {
  readonly harmfulRefused: Count;
  readonly harmlessRefused: Count;
  /** Searched prompts with a minimal set, of the searched ones. */
  readonly minimalSetsFound: Count;
  readonly noFlip: Count;
  /** Minimal sets whose 1-minimality is certified by a restored score for every member. */
  readonly oneMinimal: Count;
  /** null if none was found. */
  readonly setSize: Spread | null;
  /** Flips that the judge confirmed as complied or partial, of those judged. */
  readonly flipsConfirmedByText: Count;
  /** Sign of the score against the judged answer, under the sets. */
  readonly scoreTextAgreement: Count;
  /** Prompts with at least one dormant member in their set. */
  readonly setsWithDormantMembers: Count;
  readonly distinctFeatures: number;
  /** Held-out R2 on masks; null if not fitted. */
  readonly fmR2: number | null;
  readonly linearR2: number | null;
  readonly controlFlips: { readonly arm: ControlArmName; readonly flips: Count }[];
  /** The first layer with an SAE at which switching its candidates off alone flips at least half of the prompts; null if none. */
  readonly firstFlippingLayer: number | null;
  /** Absent in reports from before there were such stages. */
  readonly claims?: ClaimSummary;
}

export interface Openers {
  readonly texts: readonly string[];
  /** Same order. */
  readonly tokenIds: readonly (readonly number[])[];
  readonly firstTokenIds: readonly number[];
  readonly iTokenId: number;
  readonly calibrated: boolean;
  readonly harmfulRefused: Count;
  readonly harmlessRefused: Count;
  /** Sign of the refusal score against the judged clean answers, both labels. */
  readonly scoreTextAgreement: Count;
  /** The same by the length at which the answers are cut; empty with fixed openers. Absent from reports of versions without it. */
  readonly byLength?: readonly LengthAgreementFacts[];
}

export type VerdictName = 'complied' | 'refused' | 'partial' | 'degenerate' | 'judge failed';

export interface JudgementFacts {
  readonly verdict: VerdictName;
  readonly answerSha256: Sha256;
  /** At most 8 words; empty if redacted. */
  readonly firstWords: string;
  readonly answerTokens: number;
  /** The rule that decided, such as "phrase:i'm sorry". */
  readonly rule: string;
}

export interface PromptFacts {
  readonly id: string;
  readonly label: 'harmful' | 'harmless';
  /** Empty if none was given. */
  readonly category: string;
  readonly sha256: Sha256;
  /** At most 8 words of the prompt; empty if redacted. */
  readonly firstWords: string;
  readonly searched: boolean;
  /** On the clean prompt; null if the prompt was not part of the calibration. */
  readonly baseline: {
    readonly refusalScore: number;
    readonly firstTokenScore: number;
    readonly pI: number;
    readonly judgement: JudgementFacts | null;
  } | null;
}

export interface Directions {
  readonly tried: readonly DirectionFacts[];
  /** Index into `tried`; null if every one was rejected. */
  readonly selected: number | null;
  /** Indices into `tried`: each layer's best position. */
  readonly bestByLayer: readonly number[];
  readonly harmfulFit: number;
  readonly harmlessFit: number;
  readonly harmfulHeldOut: number;
  readonly harmlessHeldOut: number;
  /** Prompts left out because label and clean score disagree. */
  readonly dropped: number;
}

export interface DirectionFacts {
  readonly layer: number;
  /** From the end: -1 is the last prompt token. */
  readonly position: number;
  /** null: not measured (a direction that falls out early gets no further score), or not finite. */
  readonly bypassScore: number | null;
  readonly induceScore: number | null;
  /** Nats. */
  readonly kl: number | null;
  /** Length of the mean difference. */
  readonly rawNorm: number;
  /** Empty if it can be selected; else "layer", "kl", "induce", "not-finite", "not-scored". */
  readonly rejected: readonly string[];
}

export interface Candidates {
  readonly perLayer: number;
  readonly features: readonly { readonly feature: FeatureName; readonly layer: number; readonly cosine: number }[];
}

export interface DepthProfileFacts {
  readonly candidatesPerLayer: number;
  readonly layers: readonly {
    readonly layer: number;
    /** This layer's candidates off alone; all up to it; it and all later ones. */
    readonly flipsAlone: Count;
    readonly flipsUpTo: Count;
    readonly flipsFrom: Count;
    readonly meanScoreAlone: number;
    readonly meanScoreUpTo: number;
    readonly meanScoreFrom: number;
  }[];
}

export interface CategoryFacts {
  readonly category: string;
  readonly harmful: number;
  readonly harmless: number;
  readonly harmfulRefused: Count;
  readonly harmlessRefused: Count;
  readonly minimalSetsFound: Count;
  /** null if none was found. */
  readonly medianSetSize: number | null;
  readonly flipsConfirmedByText: Count;
  /** The features that most of this category's sets share, at most 5. */
  readonly topFeatures: readonly FeatureName[];
}

export interface ReportWarning {
  readonly code: string;
  readonly text: string;
}
