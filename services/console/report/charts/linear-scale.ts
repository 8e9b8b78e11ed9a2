/**
 * Owns the map from data to pixels and the choice of round tick values. Prevents NaN coordinates: an empty or a
 * one-value domain is widened instead of divided by zero.
 */

export interface LinearScale {
  (value: number): number;
  readonly domain: readonly [number, number];
  readonly range: readonly [number, number];
}

/** Smallest and largest finite value, widened to hold `include`; [0, 1] if there is none. */
export function extentOf(values: Iterable<number>, include: readonly number[] = []): [number, number] {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const value of [...values, ...include]) {
    if (!Number.isFinite(value)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return low <= high ? [low, high] : [0, 1];
}

/** A domain of one value is widened by half a unit (or 5 % of a large value) to both sides. */
function widened([low, high]: readonly [number, number]): [number, number] {
  if (high > low) return [low, high];
  const half = Math.max(0.5, Math.abs(low) * 0.05);
  return [low - half, low + half];
}

/** domain: data units, ascending; range: pixels, either way round. Values outside are extrapolated, not cut off. */
export function linearScale(domain: readonly [number, number], range: readonly [number, number]): LinearScale {
  const [low, high] = widened(domain);
  const slope = (range[1] - range[0]) / (high - low);
  const scale = (value: number): number => range[0] + (value - low) * slope;
  return Object.assign(scale, { domain: [low, high] as const, range });
}

/** Steps of 1, 2 or 5 times a power of ten that cover the domain in about `count` steps; ascending. */
export function niceTicks([low, high]: readonly [number, number], count = 5): number[] {
  const span = high - low;
  if (!(span > 0) || !Number.isFinite(span) || count < 1) return Number.isFinite(low) ? [low] : [];
  const rough = span / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((factor) => factor * power >= rough * 0.9999) ?? 10);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, index) => Number(((first + index) * step).toPrecision(12)));
}

/** The domain pushed out to the tick step around it, so that the axis ends on ticks. */
export function niceDomain(domain: readonly [number, number], count = 5): [number, number] {
  const [low, high] = widened(domain);
  const ticks = niceTicks([low, high], count);
  const step = ticks.length > 1 ? ticks[1]! - ticks[0]! : high - low;
  const round = (value: number): number => Number((value * step).toPrecision(12));
  return [round(Math.floor(low / step + 1e-9)), round(Math.ceil(high / step - 1e-9))];
}

/** Decimal places that tell neighbouring ticks apart. */
export function tickDigits(ticks: readonly number[]): number {
  const step = ticks.length > 1 ? Math.abs(ticks[1]! - ticks[0]!) : 1;
  return Math.min(6, Math.max(0, -Math.floor(Math.log10(step) + 1e-9)));
}
