/**
 * What a handful of measurements say about their mean: its interval by bootstrap, and whether it is larger than an effect that matters.
 * The test is of |mean| <= least, not of mean = 0: in a model without chance every tiny effect is "significant".
 */
import type { SeededRandom } from '../../../shared/random/seeded-random.js';
import { upperTailOfT } from './student-t.js';

export interface MeanEvidence {
  readonly mean: number;
  /** Percentile interval of the resampled means. */
  readonly low: number;
  readonly high: number;
  /** One-sided t test of |mean| <= least; 1 with fewer than two values, which say nothing about a mean. */
  readonly pValue: number;
}

export interface EvidenceOptions {
  readonly least: number;
  /** Of the interval, such as 0.95. */
  readonly confidence: number;
  readonly resamples: number;
  readonly random: SeededRandom;
}

/** Below this share of `least`, spread is rounding of float32 scores and not agreement: it must not make t infinite. */
const SPREAD_FLOOR = 0.01;

export function describeMean(values: readonly number[], options: EvidenceOptions): MeanEvidence {
  const { least, confidence, resamples, random } = options;
  const n = values.length;
  const mean = average(values);
  const means = Float64Array.from({ length: resamples }, () => {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += values[random.below(n)]!;
    return sum / n;
  }).sort();
  const at = (share: number) => means[Math.min(resamples - 1, Math.max(0, Math.round(share * (resamples - 1))))]!;
  const tail = (1 - confidence) / 2;
  return { mean, low: at(tail), high: at(1 - tail), pValue: n < 2 ? 1 : pValueOf(values, mean, least) };
}

function pValueOf(values: readonly number[], mean: number, least: number): number {
  const n = values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1);
  const error = Math.max(Math.sqrt(variance / n), SPREAD_FLOOR * least);
  return upperTailOfT((Math.abs(mean) - least) / error, n - 1);
}

export const average = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;
