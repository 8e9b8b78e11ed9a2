import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { wilsonInterval } from '../../../services/console/report/wilson-interval.js';

/** The definition: at each end p, the observed share is exactly z standard errors (of p) away. */
const standardErrors = (share: number, p: number, total: number): number =>
  Math.abs(share - p) / Math.sqrt((p * (1 - p)) / total);

describe('Wilson interval', () => {
  it('agrees with published values', () => {
    // Newcombe 1998, Statistics in Medicine 17:857, table I, method 3: 81/263, 15/148, 0/20, 1/29.
    const published: [number, number, number, number][] = [
      [81, 263, 0.2553, 0.3662],
      [15, 148, 0.0624, 0.1605],
      [0, 20, 0, 0.1611],
      [1, 29, 0.0061, 0.1718],
    ];
    for (const [count, total, low, high] of published) {
      const interval = wilsonInterval(count, total)!;
      expect(interval.low).toBeCloseTo(low, 4);
      expect(interval.high).toBeCloseTo(high, 4);
    }
  });

  it('inverts the score test at both ends', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 500 }), fc.double({ min: 0.01, max: 0.99, noNaN: true }), (total, part) => {
        const count = Math.min(total - 1, Math.max(1, Math.round(total * part)));
        const { low, high } = wilsonInterval(count, total)!;
        for (const end of [low, high]) expect(standardErrors(count / total, end, total)).toBeCloseTo(1.959964, 4);
      }),
    );
  });

  it('gives nothing for counts that make no sense', () => {
    for (const [count, total] of [
      [0, 0],
      [3, 2],
      [-1, 5],
      [Number.NaN, 5],
    ] as const)
      expect(wilsonInterval(count, total)).toBeUndefined();
  });
});
