/**
 * float16 and bfloat16 to float32 and back, exact in every bit: widening is lossless (subnormals, infinities and NaN payloads
 * kept), narrowing rounds to nearest, ties to even, as IEEE 754 and the usual hardware do. Bits go through integer arrays, because
 * a NaN that passes through a JavaScript number may lose its payload.
 */

/** float32 bits of one float16. Formula: IEEE 754-2008 binary16 and binary32. */
const widenHalf = (half: number): number => {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0x1f) return sign | 0x7f800000 | (fraction << 13);
  if (exponent !== 0) return sign | ((exponent + 112) << 23) | (fraction << 13);
  if (fraction === 0) return sign;
  // Subnormal: fraction * 2^-24. Shift its leading one to bit 10, where the hidden one stands.
  const shift = Math.clz32(fraction) - 21;
  return sign | ((113 - shift) << 23) | (((fraction << shift) & 0x3ff) << 13);
};

const HALF_BITS = Uint32Array.from({ length: 0x10000 }, (_, half) => widenHalf(half));

/** The value of every float16, indexed by its bits: for scales inside quantized blocks. */
export const HALF_VALUES: Float32Array = new Float32Array(HALF_BITS.buffer);

/** Widens little-endian float16 `bytes` into `out` from `at` on. */
export const widenFloat16 = (bytes: Uint8Array, out: Float32Array, at = 0): void => {
  const bits = new Uint32Array(out.buffer, out.byteOffset, out.length);
  const count = bytes.length >> 1;
  for (let i = 0; i < count; i++) bits[at + i] = HALF_BITS[bytes[2 * i]! | (bytes[2 * i + 1]! << 8)]!;
};

/** Widens little-endian bfloat16 `bytes` into `out` from `at` on. */
export const widenBfloat16 = (bytes: Uint8Array, out: Float32Array, at = 0): void => {
  const bits = new Uint32Array(out.buffer, out.byteOffset, out.length);
  const count = bytes.length >> 1;
  for (let i = 0; i < count; i++) bits[at + i] = (bytes[2 * i]! << 16) | (bytes[2 * i + 1]! << 24);
};

const narrowToHalf = (bits: number): number => {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00 | ((magnitude >> 13) & 0x3ff); // NaN, made quiet
  if (magnitude >= 0x47800000) return sign | 0x7c00; // 65536 and above
  // The carry of the rounding moves into the exponent by itself: 65520 becomes infinity.
  if (magnitude >= 0x38800000) return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >> 13) & 1)) >> 13);
  const exponent = magnitude >> 23;
  if (exponent < 102) return sign; // below 2^-25, half of the smallest subnormal
  const significand = (magnitude & 0x7fffff) | 0x800000;
  const shift = 126 - exponent; // units of 2^-24
  const kept = significand >> shift;
  const rest = significand - (kept << shift);
  const tie = 1 << (shift - 1);
  return sign | (rest > tie || (rest === tie && (kept & 1) === 1) ? kept + 1 : kept);
};

const bitsOf = (values: Float32Array): Int32Array => new Int32Array(values.buffer, values.byteOffset, values.length);

/** Rounds float32 to float16 bits, nearest, ties to even; too large becomes infinity. */
export const narrowToFloat16 = (values: Float32Array): Uint16Array => {
  const bits = bitsOf(values);
  const out = new Uint16Array(values.length);
  for (let i = 0; i < out.length; i++) out[i] = narrowToHalf(bits[i]!);
  return out;
};

/** Rounds float32 to bfloat16 bits, nearest, ties to even; NaN stays NaN and becomes quiet. */
export const narrowToBfloat16 = (values: Float32Array): Uint16Array => {
  const bits = bitsOf(values);
  const out = new Uint16Array(values.length);
  for (let i = 0; i < out.length; i++) {
    const b = bits[i]!;
    const nan = (b & 0x7fffffff) > 0x7f800000;
    out[i] = nan ? (b >>> 16) | 0x40 : (b + 0x7fff + ((b >>> 16) & 1)) >>> 16;
  }
  return out;
};
