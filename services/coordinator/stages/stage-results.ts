/** What each stage leaves behind: plain JSON, written to the checkpoint and read by later stages and the report. */
import type { AlternativesFacts } from '../report/alternatives-facts.js';
import type { PaperFacts } from '../report/paper-facts.js';
import type {
  Candidates,
  ControlsFacts,
  Costs,
  DepthProfileFacts,
  Directions,
  DormantFacts,
  Families,
  Hydra,
  Interactions,
  MinimalSetFacts,
  ModelFacts,
  Openers,
  OverRefusal,
  PromptFacts,
  ReportProvenance,
  SaeFacts,
  Sufficiency,
  Verification,
} from '../report/report-type.js';

/** A ScoreSpec in plain form. */
export interface ScoreTokens {
  readonly openers: readonly (readonly number[])[];
  readonly firstTokenIds: readonly number[];
  readonly iTokenId: number;
}

export interface DirectionVector {
  readonly layer: number;
  readonly position: number;
  readonly rawNorm: number;
  /** Unit vector [d_model], float32 little-endian, base64. */
  readonly vector: string;
}

export interface StageResults {
  readonly describe: {
    readonly model: ModelFacts;
    readonly provenance: Omit<ReportProvenance, 'promptSetSha256' | 'seed'>;
    readonly saes: readonly SaeFacts[];
    /** SAE layers that are searched, ascending. */
    readonly layers: readonly number[];
    /** First instruction position, by prompt, in the order of the spec. */
    readonly instructionStarts: readonly number[];
    /** Most prompts in one request to inference. */
    readonly maxPrompts: number;
  };
  readonly saes: { readonly saes: readonly SaeFacts[] };
  readonly openers: {
    readonly openers: Openers;
    readonly score: ScoreTokens;
    /** By prompt id. */
    readonly baselines: Readonly<Record<string, PromptFacts['baseline']>>;
    /** Ids of the prompts that the search stages run on, in the order of the spec. */
    readonly searchIds: readonly string[];
  };
  readonly directions: {
    readonly facts: Directions;
    /** Each layer's best one, ascending by layer. */
    readonly bestByLayer: readonly DirectionVector[];
    readonly selected: DirectionVector | null;
  };
  readonly candidates: Candidates;
  readonly depth: DepthProfileFacts;
  readonly filter: { readonly sets: readonly MinimalSetFacts[] };
  readonly verify: Verification;
  readonly dormant: { readonly prompts: readonly DormantFacts[] };
  readonly interactions: Interactions;
  readonly controls: ControlsFacts;
  /** Unless the spec skips the stage. */
  readonly alternatives?: AlternativesFacts;
  readonly family?: Families;
  readonly hydra?: Hydra;
  readonly sufficiency?: Sufficiency;
  readonly cost?: Costs;
  /** Only where the spec asks for it. */
  readonly 'over-refusal'?: OverRefusal;
  /** Only where the spec has the paper's settings. */
  readonly paper?: PaperFacts;
}

export type StageName = keyof StageResults;
