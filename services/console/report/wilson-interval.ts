/**
 * Owns the interval that goes with a rate: Wilson's score interval (Wilson 1927, JASA 22:209), which stays inside [0, 1]
 * and has a width at 0 of n and n of n, where the plain interval would claim certainty.
 */

/** The 97.5 % point of the standard normal: a two-sided 95 % interval. */
const Z95 = 1.959963984540054;

export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** 95 % interval of count / total, in [0, 1]; undefined when nothing was counted or the counts make no sense. */
export function wilsonInterval(count: number, total: number): Interval | undefined {
  if (!(total > 0) || !(count >= 0) || count > total) return undefined;
  const share = count / total;
  const square = Z95 * Z95;
  const centre = (share + square / (2 * total)) / (1 + square / total);
  const half = (Z95 / (1 + square / total)) * Math.sqrt((share * (1 - share)) / total + square / (4 * total * total));
  return { low: Math.max(0, centre - half), high: Math.min(1, centre + half) };
}
