import { describe, expect, it } from 'vitest';
import { createSeededRandom } from '../../../shared/random/seeded-random.js';

describe('seeded random', () => {
  it('repeats itself, and differs with the seed, the half of the seed above 32 bits included', () => {
    const draw = (seed: number) => Array.from({ length: 5 }, createSeededRandom(seed).uniform);
    expect(draw(7)).toEqual(draw(7));
    expect(draw(7)).not.toEqual(draw(8));
    expect(draw(7)).not.toEqual(draw(7 + 2 ** 32));
  });

  it('draws uniformly, normally, and picks distinct members', () => {
    const random = createSeededRandom(1);
    const uniform = Array.from({ length: 20_000 }, random.uniform);
    const normal = Array.from({ length: 20_000 }, random.normal);
    const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
    expect(mean(uniform)).toBeCloseTo(0.5, 1);
    expect(mean(normal)).toBeCloseTo(0, 1);
    expect(mean(normal.map((value) => value * value))).toBeCloseTo(1, 1);
    const picked = random.pick([1, 2, 3, 4, 5, 6], 4);
    expect(new Set(picked).size).toBe(4);
    expect(random.pick([1, 2], 9).sort()).toEqual([1, 2]);
  });

  it('gives named parts streams of their own', () => {
    const first = createSeededRandom(3).fork('split');
    const random = createSeededRandom(3);
    random.uniform();
    expect(random.fork('split').uniform()).toBe(first.uniform());
    expect(random.fork('split').uniform()).not.toBe(random.fork('order').uniform());
  });

  it('refuses a seed that is no whole number', () => {
    expect(() => createSeededRandom(1.5)).toThrow(/seed is 1.5; it must be a whole number from 0/);
    expect(() => createSeededRandom(-1)).toThrow(expect.objectContaining({ code: 'REQUEST_INVALID' }));
  });
});
