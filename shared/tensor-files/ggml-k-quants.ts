/**
 * The K quants: superblocks of 256 values with float16 scales of the scales. x = (d s) q - (dmin m) with sub-block scales s and
 * minima m of 4 or 6 bits, or x = (d s) q. Layouts from ggml's quantized block formats. Exact in float64 and rounded once, as in
 * ggml-legacy-quants.ts: (d s) q has at most 11 + 8 + 5 significant bits.
 */
import { type BlockDecoder, halfAt } from './ggml-legacy-quants.js';

/** Scale and minimum of the 8 sub-blocks of 32 in Q4_K and Q5_K, 6 bits each, packed in 12 bytes from `p` on. */
const unpackScales = (bytes: Uint8Array, p: number, scales: Uint8Array, minima: Uint8Array): void => {
  for (let j = 0; j < 4; j++) {
    const low = bytes[p + j]!;
    const middle = bytes[p + 4 + j]!;
    const high = bytes[p + 8 + j]!;
    scales[j] = low & 63;
    minima[j] = middle & 63;
    scales[j + 4] = (high & 15) | ((low >> 2) & 0x30);
    minima[j + 4] = (high >> 4) | ((middle >> 2) & 0x30);
  }
};

/** s,m[16] as nibbles, q[64] (2 bits), d[2], dmin[2]. Sub-blocks of 16. */
export const decodeQ2_K: BlockDecoder = (bytes, from, count, out, at) => {
  for (let block = 0, p = from, o = at; block < count; block++, p += 84, o += 256) {
    const d = halfAt(bytes, p + 80);
    const dmin = halfAt(bytes, p + 82);
    for (let sub = 0; sub < 16; sub++) {
      const packed = bytes[p + sub]!;
      const scale = d * (packed & 15);
      const minimum = dmin * (packed >> 4);
      const shift = sub & 6; // two sub-blocks share a shift
      const q = p + 16 + (sub >> 3) * 32 + (sub & 1) * 16;
      for (let l = 0; l < 16; l++) out[o + sub * 16 + l] = scale * ((bytes[q + l]! >> shift) & 3) - minimum;
    }
  }
};

/** h[32] (third bits, inverted), q[64] (2 bits), s[12] (6 bits, offset by 32), d[2]. Sub-blocks of 16. */
export const decodeQ3_K: BlockDecoder = (bytes, from, count, out, at) => {
  for (let block = 0, p = from, o = at; block < count; block++, p += 110, o += 256) {
    const d = halfAt(bytes, p + 108);
    const scales = p + 96;
    for (let sub = 0; sub < 16; sub++) {
      const low = (bytes[scales + (sub & 7)]! >> (sub & 8 ? 4 : 0)) & 15;
      const high = (bytes[scales + 8 + (sub & 3)]! >> ((sub >> 2) * 2)) & 3;
      const scale = d * ((low | (high << 4)) - 32);
      const h = p + (sub & 1) * 16;
      const q = p + 32 + (sub >> 3) * 32 + (sub & 1) * 16;
      for (let l = 0; l < 16; l++) {
        const offset = (bytes[h + l]! >> (sub >> 1)) & 1 ? 0 : 4;
        out[o + sub * 16 + l] = scale * (((bytes[q + l]! >> (sub & 6)) & 3) - offset);
      }
    }
  }
};

/** d[2], dmin[2], s,m[12], q[128] (4 bits). Sub-blocks of 32. */
export const decodeQ4_K: BlockDecoder = (bytes, from, count, out, at) => {
  const scales = new Uint8Array(8);
  const minima = new Uint8Array(8);
  for (let block = 0, p = from, o = at; block < count; block++, p += 144, o += 256) {
    const d = halfAt(bytes, p);
    const dmin = halfAt(bytes, p + 2);
    unpackScales(bytes, p + 4, scales, minima);
    for (let sub = 0; sub < 8; sub++) {
      const scale = d * scales[sub]!;
      const minimum = dmin * minima[sub]!;
      const q = p + 16 + (sub >> 1) * 32;
      const shift = (sub & 1) * 4;
      for (let l = 0; l < 32; l++) out[o + sub * 32 + l] = scale * ((bytes[q + l]! >> shift) & 15) - minimum;
    }
  }
};

/** d[2], dmin[2], s,m[12], h[32] (fifth bits), q[128] (4 bits). Sub-blocks of 32. */
export const decodeQ5_K: BlockDecoder = (bytes, from, count, out, at) => {
  const scales = new Uint8Array(8);
  const minima = new Uint8Array(8);
  for (let block = 0, p = from, o = at; block < count; block++, p += 176, o += 256) {
    const d = halfAt(bytes, p);
    const dmin = halfAt(bytes, p + 2);
    unpackScales(bytes, p + 4, scales, minima);
    for (let sub = 0; sub < 8; sub++) {
      const scale = d * scales[sub]!;
      const minimum = dmin * minima[sub]!;
      const h = p + 16;
      const q = p + 48 + (sub >> 1) * 32;
      const shift = (sub & 1) * 4;
      for (let l = 0; l < 32; l++) {
        const value = ((bytes[q + l]! >> shift) & 15) | (((bytes[h + l]! >> sub) & 1) << 4);
        out[o + sub * 32 + l] = scale * value - minimum;
      }
    }
  }
};

/** l[128] (low 4 bits), h[64] (high 2 bits), s[16] (signed bytes), d[2]; q is offset by 32. Sub-blocks of 16. */
export const decodeQ6_K: BlockDecoder = (bytes, from, count, out, at) => {
  for (let block = 0, p = from, o = at; block < count; block++, p += 210, o += 256) {
    const d = halfAt(bytes, p + 208);
    for (let sub = 0; sub < 16; sub++) {
      const scale = d * ((bytes[p + 192 + sub]! << 24) >> 24);
      const half = sub >> 3;
      const low = p + half * 64 + (sub & 3) * 16;
      const lowShift = sub & 4; // the second 64 values of each half are the high nibbles
      const high = p + 128 + half * 32 + (sub & 1) * 16;
      const highShift = sub & 6;
      for (let l = 0; l < 16; l++) {
        const q = ((bytes[low + l]! >> lowShift) & 15) | (((bytes[high + l]! >> highShift) & 3) << 4);
        out[o + sub * 16 + l] = scale * (q - 32);
      }
    }
  }
};
