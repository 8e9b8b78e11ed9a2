import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  HALF_VALUES,
  narrowToBfloat16,
  narrowToFloat16,
  widenBfloat16,
  widenFloat16,
} from '../../../shared/tensor-files/float-formats.js';
import { bits, fixtureBytes } from './tensor-fixtures.js';

const digests = JSON.parse(fixtureBytes('float-digests.json').toString()) as Record<string, string>;
const digest = (values: Float32Array | Uint16Array): string =>
  createHash('sha256')
    .update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
    .digest('hex');

/** The same patterns as in make.py, without NaN. */
const numbers = (patterns: Iterable<number>): Float32Array => {
  const kept = Uint32Array.from([...patterns].filter((pattern) => (pattern & 0x7fffffff) <= 0x7f800000));
  return new Float32Array(kept.buffer);
};
const widenAll = (halves: Uint16Array): Float32Array => {
  const out = new Float32Array(halves.length);
  widenFloat16(new Uint8Array(halves.buffer), out);
  return out;
};
const allPatterns = Uint16Array.from({ length: 0x10000 }, (_, i) => i);
const finiteHalves = allPatterns.filter((half) => (half & 0x7c00) !== 0x7c00);
function* spread(): Generator<number> {
  for (let i = 0; i < 1 << 20; i++) yield Number((BigInt(i) * 2654435761n) & 0xffffffffn);
}

describe('float16', () => {
  it('widens every finite pattern as numpy does', () => {
    expect(digest(widenAll(finiteHalves))).toBe(digests.widenFinite);
  });

  it('keeps infinities and the payload and sign of NaN', () => {
    const wide = bits(widenAll(Uint16Array.from([0x7c00, 0xfc00, 0x7e01, 0xfdff])));
    expect([...wide]).toEqual([0x7f800000, 0xff800000, 0x7fc02000, 0xffbfe000]);
  });

  it('has the same values in the table for block scales', () => {
    for (const half of finiteHalves) expect(Object.is(HALF_VALUES[half], widenAll(Uint16Array.of(half))[0])).toBe(true);
  });

  it('narrows as numpy does: spread patterns, ties and their neighbours, subnormals', () => {
    const wide = widenAll(finiteHalves).filter((value) => Math.abs(value) >= 2 ** -14);
    const ties = [...bits(wide)].flatMap((pattern) => [0xfff, 0x1000, 0x1001].map((d) => pattern + d));
    const small = Float32Array.from({ length: 4095 }, (_, i) => (i + 1) * 2 ** -26);
    expect(digest(narrowToFloat16(numbers(spread())))).toBe(digests.narrowHalfSpread);
    expect(digest(narrowToFloat16(numbers(ties)))).toBe(digests.narrowHalfTies);
    expect(digest(narrowToFloat16(small))).toBe(digests.narrowHalfSmall);
  });

  it('survives the round trip through float32 in every finite pattern', () => {
    expect(narrowToFloat16(widenAll(finiteHalves))).toEqual(finiteHalves);
  });

  it('narrows NaN to NaN, also where the payload lies in the dropped bits', () => {
    const nan = new Float32Array(Uint32Array.of(0x7f800001, 0xffc00000).buffer);
    for (const half of narrowToFloat16(nan)) expect(half & 0x7fff).toBeGreaterThan(0x7c00);
  });
});

describe('bfloat16', () => {
  it('widens by appending zero bits', () => {
    const out = new Float32Array(allPatterns.length);
    widenBfloat16(new Uint8Array(allPatterns.buffer), out);
    expect(bits(out).every((pattern, i) => pattern === i * 0x10000)).toBe(true);
  });

  it('narrows as ggml does: spread patterns, ties and their neighbours', () => {
    const ties = [...allPatterns].flatMap((brain) => [0x7fff, 0x8000, 0x8001].map((d) => brain * 0x10000 + d));
    expect(digest(narrowToBfloat16(numbers(spread())))).toBe(digests.narrowBrainSpread);
    expect(digest(narrowToBfloat16(numbers(ties)))).toBe(digests.narrowBrainTies);
  });

  it('narrows NaN to a quiet NaN and never to infinity', () => {
    const nan = new Float32Array(Uint32Array.of(0x7f800001, 0xff80ffff).buffer);
    expect([...narrowToBfloat16(nan)]).toEqual([0x7fc0, 0xffc0]);
  });
});

it('widening writes at the offset that was asked for and nowhere else', () => {
  const out = new Float32Array(4).fill(9);
  widenFloat16(Uint8Array.of(0x00, 0x3c), out, 1);
  widenBfloat16(Uint8Array.of(0x00, 0x40), out, 2);
  expect([...out]).toEqual([9, 1, 2, 9]);
});
