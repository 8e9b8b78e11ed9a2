/** Owns the map from data to pixels by orders of magnitude: for numbers of features, where 1 and 2 differ more than 100 and 101. */
import { type LinearScale, linearScale } from './linear-scale.js';

/** domain: above 0, ascending; one value is widened to both sides. As a scale it is used like a linear one; its domain is that of the data. */
export function logScale([low, high]: readonly [number, number], range: readonly [number, number]): LinearScale {
  const domain = high > low ? ([low, high] as const) : ([low / 1.5, low * 1.5] as const);
  const inner = linearScale([Math.log(domain[0]), Math.log(domain[1])], range);
  return Object.assign((value: number): number => inner(Math.log(value)), { domain, range });
}
