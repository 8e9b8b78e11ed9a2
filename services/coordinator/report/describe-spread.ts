/** Smallest, middle, mean and largest of some whole numbers. */
import type { Spread } from './report-type.js';

/** null for no values. */
export const describeSpread = (values: readonly number[]): Spread | null => {
  const middle = median(values);
  if (middle === null) return null;
  return {
    min: Math.min(...values),
    median: middle,
    mean: values.reduce((total, value) => total + value, 0) / values.length,
    max: Math.max(...values),
  };
};

/** null for no values; the mean of the two middle ones for an even number. */
export const median = (values: readonly number[]): number | null => {
  const sorted = [...values].sort((a, b) => a - b);
  const [low, high] = [sorted[Math.ceil(sorted.length / 2) - 1], sorted[Math.floor(sorted.length / 2)]];
  return low === undefined || high === undefined ? null : (low + high) / 2;
};
