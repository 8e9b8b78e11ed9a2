import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  extentOf,
  linearScale,
  niceDomain,
  niceTicks,
  tickDigits,
} from '../../../services/console/report/charts/linear-scale.js';

const finite = fc.double({ min: -1e6, max: 1e6, noNaN: true });

describe('linear scale', () => {
  it('maps the ends of the domain to the ends of the range', () => {
    const scale = linearScale([-2, 6], [300, 20]);
    expect([scale(-2), scale(6), scale(2)]).toEqual([300, 20, 160]);
  });

  it('puts a domain of one value in the middle instead of dividing by zero', () => {
    expect(linearScale([3, 3], [0, 100])(3)).toBe(50);
    expect(linearScale([0, 0], [0, 100])(0)).toBe(50);
  });

  it('ignores what is not finite, and has [0, 1] for nothing', () => {
    expect(extentOf([Number.NaN, 4, Number.NEGATIVE_INFINITY, -1])).toEqual([-1, 4]);
    expect(extentOf([4], [0])).toEqual([0, 4]);
    expect(extentOf([])).toEqual([0, 1]);
  });

  it('ticks at round values', () => {
    expect(niceTicks([0, 1])).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
    expect(niceTicks([-3.7, 4.2], 4)).toEqual([-2, 0, 2, 4]);
    expect(niceTicks([5, 5])).toEqual([5]);
    expect(niceDomain([-3.7, 4.2], 4)).toEqual([-4, 6]);
    expect([tickDigits([0, 0.2]), tickDigits([0, 50]), tickDigits([1])]).toEqual([1, 0, 0]);
  });

  it('always gives a few ticks inside the domain, evenly spaced, and a nice domain that holds the data', () => {
    fc.assert(
      fc.property(finite, finite, fc.integer({ min: 2, max: 10 }), (a, b, count) => {
        fc.pre(Math.abs(a - b) > 1e-3);
        const domain: [number, number] = [Math.min(a, b), Math.max(a, b)];
        const ticks = niceTicks(domain, count);
        const slack = (domain[1] - domain[0]) * 1e-6;
        expect(ticks.length).toBeLessThanOrEqual(count + 1);
        for (const tick of ticks) expect(tick >= domain[0] - slack && tick <= domain[1] + slack).toBe(true);
        const [low, high] = niceDomain(domain, count);
        expect(low <= domain[0] + slack && high >= domain[1] - slack).toBe(true);
      }),
    );
  });
});
