/** Values at which readers break: limits of integer types, powers of two and their neighbours, and texts with a meaning elsewhere. */
import type { SeededRandom } from '../../../shared/random/seeded-random.js';

export const one = <T>(random: SeededRandom, items: readonly T[]): T => items[random.below(items.length)] as T;

export const chance = (random: SeededRandom, share: number): boolean => random.uniform() < share;

/** Small ones far more often than large ones: 1 to `most`. */
export const fewOf = (random: SeededRandom, most: number): number => 1 + Math.floor(random.uniform() ** 3 * most);

const EDGES: readonly bigint[] = [0n, 1n, 2n, 7n, 8n, 15n, 16n, 31n, 32n, 53n, 63n, 64n].flatMap((bits) => {
  const power = 1n << bits;
  return [power - 1n, power, power + 1n, -power];
});

/** An integer of 64 bits, as its unsigned pattern. */
export const edgeInteger = (random: SeededRandom): bigint => {
  const value = chance(random, 0.7)
    ? one(random, EDGES)
    : BigInt(random.below(0x100000000)) << BigInt(random.below(33));
  return BigInt.asUintN(64, value);
};

export const EDGE_NUMBERS: readonly number[] = [
  0,
  -0,
  1,
  -1,
  2,
  3,
  7,
  8,
  255,
  256,
  65_535,
  65_536,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 1,
  2 ** 32,
  2 ** 53 - 1,
  2 ** 53,
  -(2 ** 31),
  0.5,
  1e-320,
  1e-7,
  1e21,
  1e300,
  1.7976931348623157e308,
  0.1,
];

export const EDGE_TEXTS: readonly string[] = [
  '',
  ' ',
  '\0',
  '\n',
  '"',
  '\\',
  "'",
  '/',
  '../',
  '..',
  '../../etc/passwd',
  '%2e%2e%2f',
  '__proto__',
  'constructor',
  'toString',
  'null',
  'NaN',
  'Infinity',
  '-1',
  '0',
  '1e999',
  '0x10',
  'true',
  '\ufeff',
  '\ufffd',
  '\u2028',
  '\u202e',
  'é',
  '日本語',
  '😀',
  '{{',
  '{%',
  '}}',
  '<script>',
  '$(id)',
  'a'.repeat(300),
  'A'.repeat(5000),
  '(a+)+$',
  '.*',
  '[',
  '\u0300'.repeat(40),
];
