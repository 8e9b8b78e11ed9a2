import { describe, expect, it } from 'vitest';
import { adjustPValues } from '../../../services/search/statistics/benjamini-hochberg.js';
import { describeMean } from '../../../services/search/statistics/mean-evidence.js';
import { upperTailOfT } from '../../../services/search/statistics/student-t.js';
import { createSeededRandom } from '../../../shared/random/seeded-random.js';

describe("upper tail of Student's t", () => {
  // Closed forms: Abramowitz and Stegun, 26.7.3 and 26.7.4.
  const closed: Readonly<Record<number, (t: number) => number>> = {
    1: (t) => 0.5 - Math.atan(t) / Math.PI,
    2: (t) => 0.5 - t / (2 * Math.sqrt(2 + t * t)),
    4: (t) => 0.5 - (3 / 8) * (t / Math.sqrt(1 + (t * t) / 4)) * (1 - (t * t) / (12 * (1 + (t * t) / 4))),
  };
  it('is the closed form for 1, 2 and 4 degrees of freedom', () => {
    for (const [degrees, tail] of Object.entries(closed))
      for (const t of [-30, -2, -0.3, 0, 0.1, 1, 2.5, 8, 40])
        expect(upperTailOfT(t, Number(degrees))).toBeCloseTo(tail(t), 12);
  });
  it('comes to the normal distribution with many degrees', () => {
    expect(upperTailOfT(1.959964, 1e7)).toBeCloseTo(0.025, 6);
  });
});

describe('Benjamini-Hochberg', () => {
  it('gives the adjusted values of the 1995 example: the first four of fifteen stay at 0.05', () => {
    const pValues = [
      0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.324, 0.4262, 0.5719, 0.6528, 0.759, 1,
    ];
    const adjusted = adjustPValues(pValues);
    expect(adjusted.filter((value) => value <= 0.05)).toHaveLength(4);
    expect(adjusted[0]).toBeCloseTo(0.0015, 10);
    expect(adjusted[3]).toBeCloseTo((0.0095 * 15) / 4, 10);
    expect(adjusted[14]).toBe(1);
  });
  it('never puts a smaller p-value behind a larger one, in any order', () => {
    const pValues = [0.9, 0.01, 0.02, 0.5, 0.019];
    const adjusted = adjustPValues(pValues);
    const order = [1, 4, 2, 3, 0].map((i) => adjusted[i]!);
    expect([...order].sort((a, b) => a - b)).toEqual(order);
  });
});

describe('evidence for a mean', () => {
  const options = (seed: number) => ({
    least: 0.5,
    confidence: 0.95,
    resamples: 1000,
    random: createSeededRandom(seed),
  });
  const draw = (mean: number, count: number, seed: number) => {
    const random = createSeededRandom(seed).fork('values');
    return Array.from({ length: count }, () => mean + random.normal());
  };
  it('says nothing of a mean from a single value', () => {
    expect(describeMean([12], options(1))).toMatchObject({ mean: 12, low: 12, high: 12, pValue: 1 });
  });
  it('is sure of equal values above the least effect, and of equal ones below it that they do not matter', () => {
    expect(describeMean([-12, -12, -12], options(1)).pValue).toBeLessThan(1e-6);
    expect(describeMean([0.4, 0.4, 0.4], options(1)).pValue).toBeGreaterThan(0.99);
  });
  it('accepts a mean of exactly the least effect at the stated rate', () => {
    const accepted = Array.from({ length: 2000 }, (_, seed) =>
      describeMean(draw(0.5, 6, seed), { ...options(seed), resamples: 2 }),
    );
    const share = accepted.filter(({ pValue }) => pValue <= 0.05).length / accepted.length;
    expect(share).toBeGreaterThan(0.03);
    expect(share).toBeLessThan(0.075);
  });
  it('has intervals that hold the mean nearly as often as they say', () => {
    const held = Array.from({ length: 300 }, (_, seed) => describeMean(draw(2, 40, seed), options(seed)));
    const share = held.filter(({ low, high }) => low <= 2 && high >= 2).length / held.length;
    expect(share).toBeGreaterThan(0.88);
    expect(share).toBeLessThan(0.99);
  });
});
