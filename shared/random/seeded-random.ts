/**
 * Random numbers that can be repeated: xoshiro128** (Blackman and Vigna, 2018) seeded by splitmix32. Math.random cannot be
 * seeded, so a split, an order or a control that used it could never be run again; everything random here starts from a seed.
 */
import { fault } from '../errors/fault.js';

export interface SeededRandom {
  /** Uniform in [0, 1) with 32 bits. */
  uniform(): number;
  /** Whole number in [0, limit), limit in 1..2^32. */
  below(limit: number): number;
  /** Standard normal (Box-Muller). */
  normal(): number;
  /** Shuffles in place (Fisher-Yates) and returns its argument. */
  shuffle<T>(items: T[]): T[];
  /** `count` distinct members in random order; all of them when there are fewer. */
  pick<T>(items: readonly T[], count: number): T[];
  /** A stream of its own for a named part, so that one part drawing more numbers never moves another. */
  fork(part: string): SeededRandom;
}

type Words = () => number;

const splitmix32 = (seed: number): Words => {
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

/** The four state words mix the low and the high half of the seed, so that seeds above 2^32 differ too. */
const createWords = (low: number, high: number): Words => {
  const next = splitmix32((low ^ Math.imul(high, 0x85ebca6b)) >>> 0);
  let [a, b, c, d] = [next(), (next() ^ high) >>> 0, next(), (next() | 1) >>> 0];
  return () => {
    const result = Math.imul(rotateLeft(Math.imul(b, 5), 7), 9) >>> 0;
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = rotateLeft(d, 11);
    return result;
  };
};

/** FNV-1a over UTF-16 units: only to tell the named parts of one seed apart. */
const hashOfName = (name: string): number => {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193) >>> 0;
  return hash;
};

const partialShuffle = <T>(items: T[], count: number, below: (limit: number) => number): T[] => {
  for (let i = 0; i < count; i++) {
    const j = i + below(items.length - i);
    [items[i], items[j]] = [items[j] as T, items[i] as T];
  }
  return items;
};

/** @param seed whole number in 0..2^53-1; the same seed gives the same numbers on every machine. */
export function createSeededRandom(seed: number): SeededRandom {
  if (!Number.isSafeInteger(seed) || seed < 0)
    throw fault('REQUEST_INVALID', `seed is ${seed}; it must be a whole number from 0 to ${Number.MAX_SAFE_INTEGER}`);
  const low = (seed % 0x100000000) >>> 0;
  const high = Math.floor(seed / 0x100000000);
  const word = createWords(low, high);
  const uniform = () => word() / 0x100000000;
  const below = (limit: number) => Math.floor(uniform() * limit);
  return {
    uniform,
    below,
    normal: () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()),
    shuffle: (items) => partialShuffle(items, Math.max(items.length - 1, 0), below),
    pick: (items, count) => partialShuffle([...items], Math.min(count, items.length), below).slice(0, count),
    fork: (part) => createSeededRandom((splitmix32(low ^ hashOfName(part))() ^ high) >>> 0),
  };
}
