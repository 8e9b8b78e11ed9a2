/**
 * The random numbers of every fit, split and design: xoshiro128** (Blackman and Vigna, 2018), seeded by splitmix32.
 * Math.random cannot be seeded, so a fit that used it could never be repeated; everything random here starts from a seed.
 */
import { fault } from '../../shared/errors/fault.js';

export interface SeededRandom {
  /** Uniform in [0, 1) with 32 bits. */
  uniform(): number;
  /** Whole number in [0, limit), limit in 1..2^32. */
  below(limit: number): number;
  /** Standard normal (Box-Muller). */
  normal(): number;
  /** Shuffles in place (Fisher-Yates). */
  shuffle(items: Int32Array): Int32Array;
  /** A stream of its own for a named part, so that one part drawing more numbers never moves another. */
  fork(part: number): SeededRandom;
}

const splitmix32 = (seed: number): (() => number) => {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  };
};

const rotateLeft = (x: number, by: number): number => ((x << by) | (x >>> (32 - by))) >>> 0;

const createWords = (seed: number): (() => number) => {
  const next = splitmix32(seed);
  let [a, b, c, d] = [next(), next(), next(), next()];
  return () => {
    const result = Math.imul(rotateLeft(Math.imul(b, 5), 7), 9) >>> 0;
    const t = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= t;
    d = rotateLeft(d, 11);
    return result;
  };
};

/** @param seed whole number in 0..2^32-1; the same seed gives the same numbers on every machine. */
export function createSeededRandom(seed: number): SeededRandom {
  if (!Number.isInteger(seed) || seed < 0 || seed > 0xffffffff)
    throw fault('REQUEST_INVALID', `seed is ${seed}; it must be a whole number from 0 to 4294967295`);
  const word = createWords(seed);
  const uniform = () => word() / 0x100000000;
  return {
    uniform,
    below: (limit) => Math.floor(uniform() * limit),
    normal: () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()),
    shuffle: (items) => {
      for (let i = items.length - 1; i > 0; i--) {
        const j = Math.floor(uniform() * (i + 1));
        [items[i], items[j]] = [items[j]!, items[i]!];
      }
      return items;
    },
    fork: (part) => createSeededRandom((splitmix32(seed ^ Math.imul(part + 1, 0x85ebca6b))() ^ part) >>> 0),
  };
}
