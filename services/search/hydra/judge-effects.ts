/**
 * From conditional effects, one prompt each, to what can be said of a woken feature over the prompts: a mean with its interval, and the
 * chance of such a mean if the feature did no more than the least effect that counts, adjusted for all features that were tested.
 */
import { createSeededRandom } from '../../../shared/random/seeded-random.js';
import { type FeatureId, formatFeature } from '../../../shared/tensors/feature-name.js';
import { adjustPValues } from '../statistics/benjamini-hochberg.js';
import { average, describeMean, type MeanEvidence } from '../statistics/mean-evidence.js';
import type { ConditionalEffects } from './conditional-effects.js';

export interface EvidenceRule {
  /** Smallest mean effect that counts, log-odds. */
  readonly minEffect: number;
  /** Of the bootstrap. */
  readonly seed: number;
}

/** A woken feature, its effects over the prompts taken together. */
export interface JudgedFeature extends FeatureId {
  readonly round: number;
  /** Prompts in which it woke. */
  readonly wokeIn: number;
  /** Mean over these of its largest activation. */
  readonly activation: number;
  /** Conditional effect less that under null sets, over the prompts in which it woke; of the context that shows more. */
  readonly effect: MeanEvidence;
  readonly context: 'step' | 'closure';
  readonly intactEffect: number;
  /** Mean and largest conditional effect under null sets, by size. */
  readonly nullEffect: number;
  readonly nullLargest: number;
  /** Adjusted for all features that were tested (Benjamini and Hochberg). */
  readonly qValue: number;
}

const CONFIDENCE = 0.95;
const RESAMPLES = 2000;

/** One entry a feature, of the effects of all prompts; q-values are adjusted over these features. */
export function judgeFeatures(rule: EvidenceRule, measured: readonly ConditionalEffects[]): JudgedFeature[] {
  const byFeature = new Map<string, ConditionalEffects[]>();
  for (const effect of measured) {
    const name = formatFeature(effect.feature);
    byFeature.set(name, [...(byFeature.get(name) ?? []), effect]);
  }
  const judged = [...byFeature].map(([name, effects]) => judgeOne(rule, name, effects));
  const adjusted = adjustPValues(judged.map(({ qValue }) => qValue));
  return judged.map((feature, i) => ({ ...feature, qValue: adjusted[i]! }));
}

/** `qValue` is not adjusted yet. */
function judgeOne(
  { minEffect, seed }: EvidenceRule,
  name: string,
  effects: readonly ConditionalEffects[],
): JudgedFeature {
  const evidenceOf = (own: readonly number[], random: string) =>
    describeMean(own, {
      least: minEffect,
      confidence: CONFIDENCE,
      resamples: RESAMPLES,
      random: createSeededRandom(seed).fork(`${random} ${name}`),
    });
  const less = (value: number, nulls: readonly number[]) => value - (nulls.length === 0 ? 0 : average(nulls));
  const step = evidenceOf(
    effects.map((effect) => less(effect.step, effect.nullStep)),
    'step',
  );
  const closure = evidenceOf(
    effects.map((effect) => less(effect.closure, effect.nullClosure)),
    'closure',
  );
  const shown = step.pValue <= closure.pValue ? 'step' : 'closure';
  const effect = shown === 'step' ? step : closure;
  const nulls = effects
    .flatMap(({ nullStep, nullClosure }) => (shown === 'step' ? nullStep : nullClosure))
    .map(Math.abs);
  const [{ feature }] = effects as [ConditionalEffects];
  return {
    layer: feature.layer,
    index: feature.index,
    round: Math.min(...effects.map((own) => own.feature.round)),
    wokeIn: effects.length,
    activation: average(effects.map((own) => own.feature.value)),
    effect,
    context: shown,
    intactEffect: average(effects.map(({ intact }) => intact)),
    nullEffect: nulls.length === 0 ? 0 : average(nulls),
    nullLargest: Math.max(0, ...nulls),
    // Two looks at each feature.
    qValue: Math.min(1, 2 * effect.pValue),
  };
}
