/**
 * Blocks of 32 values with one float16 scale d, and in the _1 forms a float16 minimum m: x = d q or x = d q + m.
 * Layouts from ggml's quantized block formats. In Q4 and Q5 byte j holds value j in its low and value j + 16 in its high nibble.
 *
 * The arithmetic is exact in float64 and rounded once on the store to float32, which gives the bits that float32 arithmetic gives:
 * d q has at most 11 + 8 significant bits.
 */
import { HALF_VALUES } from './float-formats.js';

/** Writes `count` blocks that start at byte `from` of `bytes` into `out` from value `at` on. */
export type BlockDecoder = (bytes: Uint8Array, from: number, count: number, out: Float32Array, at: number) => void;

/** The float16 at byte `at`. */
export const halfAt = (bytes: Uint8Array, at: number): number => HALF_VALUES[bytes[at]! | (bytes[at + 1]! << 8)]!;

/** d[2] q[32] as signed bytes. */
export const decodeQ8_0: BlockDecoder = (bytes, from, count, out, at) => {
  for (let block = 0, p = from, o = at; block < count; block++, p += 34, o += 32) {
    const d = halfAt(bytes, p);
    for (let j = 0; j < 32; j++) out[o + j] = d * ((bytes[p + 2 + j]! << 24) >> 24);
  }
};

/** d[2] q[16]; q is offset by 8. */
export const decodeQ4_0: BlockDecoder = (bytes, from, count, out, at) => {
  for (let block = 0, p = from, o = at; block < count; block++, p += 18, o += 32) {
    const d = halfAt(bytes, p);
    for (let j = 0; j < 16; j++) {
      const q = bytes[p + 2 + j]!;
      out[o + j] = d * ((q & 15) - 8);
      out[o + 16 + j] = d * ((q >> 4) - 8);
    }
  }
};

/** d[2] m[2] q[16]. */
export const decodeQ4_1: BlockDecoder = (bytes, from, count, out, at) => {
  for (let block = 0, p = from, o = at; block < count; block++, p += 20, o += 32) {
    const d = halfAt(bytes, p);
    const m = halfAt(bytes, p + 2);
    for (let j = 0; j < 16; j++) {
      const q = bytes[p + 4 + j]!;
      out[o + j] = d * (q & 15) + m;
      out[o + 16 + j] = d * (q >> 4) + m;
    }
  }
};

const word = (bytes: Uint8Array, at: number): number =>
  bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);

/** d[2] h[4] q[16]; bit j of h is the fifth bit of value j; q is offset by 16. */
export const decodeQ5_0: BlockDecoder = (bytes, from, count, out, at) => {
  for (let block = 0, p = from, o = at; block < count; block++, p += 22, o += 32) {
    const d = halfAt(bytes, p);
    const high = word(bytes, p + 2);
    for (let j = 0; j < 16; j++) {
      const q = bytes[p + 6 + j]!;
      out[o + j] = d * (((q & 15) | (((high >> j) & 1) << 4)) - 16);
      out[o + 16 + j] = d * (((q >> 4) | (((high >> (j + 16)) & 1) << 4)) - 16);
    }
  }
};

/** d[2] m[2] h[4] q[16]; bit j of h is the fifth bit of value j. */
export const decodeQ5_1: BlockDecoder = (bytes, from, count, out, at) => {
  for (let block = 0, p = from, o = at; block < count; block++, p += 24, o += 32) {
    const d = halfAt(bytes, p);
    const m = halfAt(bytes, p + 2);
    const high = word(bytes, p + 4);
    for (let j = 0; j < 16; j++) {
      const q = bytes[p + 8 + j]!;
      out[o + j] = d * ((q & 15) | (((high >> j) & 1) << 4)) + m;
      out[o + 16 + j] = d * ((q >> 4) | (((high >> (j + 16)) & 1) << 4)) + m;
    }
  }
};
