/**
 * What the stages behind claims (family, hydra, sufficiency, cost) may spend, so that an audit ends in time whatever it finds. A cap is
 * never silent: the report states it, and what it cut off. Prevents: an enumeration that runs for hours on a refusal with many ways out.
 */
import type { ClaimSettings as WireSettings } from '../../../proto/gen/refusalscope/v1/coordinator.js';
import { fault } from '../../../shared/errors/fault.js';

export interface ClaimSettings {
  /** Prompts with a minimal set that family and sufficiency take. */
  readonly prompts: number;
  /** A prompt. */
  readonly familyEvaluations: number;
  readonly familySets: number;
  /** Woken features that are followed a round and prompt. */
  readonly hydraFeatures: number;
  readonly hydraRounds: number;
  /** Null sets of each kind. */
  readonly hydraNullDraws: number;
  /** Smallest mean effect that counts, log-odds. */
  readonly hydraMinEffect: number;
  /** Expected share of false features among those reported. */
  readonly hydraLevel: number;
  /** Features a prompt that the second trace switches off first; absent in specs from before there was one. */
  readonly hydraStrongest?: number;
  /** Prompts that each trace takes: its means need more than a look at each prompt does. As `prompts` in specs from before it was apart. */
  readonly hydraPrompts?: number;
  readonly sufficiencyDraws: number;
  /** Harmless prompts that the model answers, for sufficiency and cost. */
  readonly harmlessPrompts: number;
  /** Distinct minimal sets. */
  readonly costSets: number;
  readonly costAnswerTokens: number;
}

/** Chosen by what they cost on the embedded model (docs/services/coordinator.md). */
export const CLAIM_DEFAULTS: Required<ClaimSettings> = {
  prompts: 16,
  familyEvaluations: 200,
  familySets: 32,
  hydraFeatures: 64,
  hydraRounds: 4,
  hydraNullDraws: 2,
  hydraMinEffect: 0.1,
  hydraLevel: 0.05,
  hydraStrongest: 8,
  hydraPrompts: 32,
  sufficiencyDraws: 3,
  harmlessPrompts: 8,
  costSets: 16,
  costAnswerTokens: 32,
};

/** Most that each whole number may be. */
const LIMITS: Partial<Record<keyof ClaimSettings, number>> = {
  prompts: 10_000,
  familyEvaluations: 1_000_000,
  familySets: 1024,
  hydraFeatures: 4096,
  hydraRounds: 64,
  hydraNullDraws: 64,
  hydraStrongest: 1024,
  hydraPrompts: 10_000,
  sufficiencyDraws: 64,
  harmlessPrompts: 10_000,
  costSets: 1024,
  costAnswerTokens: 4096,
};

/** With the defaults in place of zeros. Throws REQUEST_INVALID, naming the field. */
export const decodeClaimSettings = (wire: WireSettings | undefined): ClaimSettings => {
  const names = Object.keys(CLAIM_DEFAULTS) as (keyof ClaimSettings)[];
  const entries = names.map((name) => [name, wire?.[name] || CLAIM_DEFAULTS[name]] as const);
  for (const [name, value] of entries) {
    const most = LIMITS[name];
    if (most !== undefined && value > most)
      throw invalid(`claims.${wireName(name)} is ${value}; at most ${most} is taken.`);
  }
  const settings = Object.fromEntries(entries) as unknown as ClaimSettings;
  const { hydraMinEffect, hydraLevel } = settings;
  if (!(hydraMinEffect > 0 && Number.isFinite(hydraMinEffect)))
    throw invalid(`claims.hydra_min_effect is ${hydraMinEffect}; it must be a number above 0.`);
  if (!(hydraLevel > 0 && hydraLevel < 1))
    throw invalid(`claims.hydra_level is ${hydraLevel}; as a share of false features it must be between 0 and 1.`);
  return settings;
};

export const SKIPPABLE_STAGES = ['alternatives', 'family', 'hydra', 'sufficiency', 'cost'] as const;
export type SkippableStage = (typeof SKIPPABLE_STAGES)[number];

/** Throws REQUEST_INVALID for another name. */
export const checkSkippedStages = (names: readonly string[]): void => {
  for (const name of names) {
    if ((SKIPPABLE_STAGES as readonly string[]).includes(name)) continue;
    throw invalid(
      `skip_stages holds ${JSON.stringify(name.slice(0, 64))}; these can be left out: ${SKIPPABLE_STAGES.join(', ')}.`,
    );
  }
};

const wireName = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

const invalid = (text: string) => fault('REQUEST_INVALID', text);
