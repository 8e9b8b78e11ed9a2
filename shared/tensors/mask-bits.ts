/**
 * Masks as the wire has them (one bit an edit, least significant bit first, spare bits 0) against flags and index lists.
 * Prevents: a mask that is one edit short and silently leaves the last edit out.
 */
import { fault } from '../errors/fault.js';

export const maskByteLength = (edits: number): number => Math.ceil(edits / 8);

/** One flag (0 or 1) an edit. Throws MASK_WRONG_LENGTH if the bytes do not hold exactly `edits` bits, or a spare bit is set. */
export const decodeMask = (bits: Uint8Array, edits: number): Uint8Array => {
  assertMaskLength(bits, edits);
  const flags = new Uint8Array(edits);
  for (let i = 0; i < edits; i++) flags[i] = ((bits[i >> 3] as number) >> (i & 7)) & 1;
  return flags;
};

/** The indices of the edits that are on, ascending. */
export const decodeMaskIndices = (bits: Uint8Array, edits: number): number[] => {
  const flags = decodeMask(bits, edits);
  const indices: number[] = [];
  for (let i = 0; i < edits; i++) if (flags[i] === 1) indices.push(i);
  return indices;
};

/** Bits of flags: anything but 0 is on. */
export const encodeMask = (flags: ArrayLike<number>): Buffer => {
  const bits = Buffer.alloc(maskByteLength(flags.length));
  for (let i = 0; i < flags.length; i++) {
    if (flags[i] !== 0) bits[i >> 3] = (bits[i >> 3] as number) | (1 << (i & 7));
  }
  return bits;
};

/** Bits with exactly these of `edits` edits on. */
export const encodeMaskIndices = (indices: Iterable<number>, edits: number): Buffer => {
  const flags = new Uint8Array(edits);
  for (const index of indices) {
    if (!Number.isInteger(index) || index < 0 || index >= edits) {
      throw fault('MASK_WRONG_LENGTH', `Edit ${index} cannot be in a mask of ${edits} edits (0 to ${edits - 1}).`);
    }
    flags[index] = 1;
  }
  return encodeMask(flags);
};

const assertMaskLength = (bits: Uint8Array, edits: number): void => {
  const wanted = maskByteLength(edits);
  if (bits.byteLength !== wanted) {
    throw fault(
      'MASK_WRONG_LENGTH',
      `A mask of ${bits.byteLength} bytes was given; a bank of ${edits} edits needs exactly ${wanted} (one bit an edit).`,
    );
  }
  const spare = edits % 8 === 0 ? 0 : (bits[wanted - 1] as number) >> (edits % 8);
  if (spare !== 0) {
    throw fault('MASK_WRONG_LENGTH', `A mask sets bits beyond its ${edits} edits: spare bits must be 0.`);
  }
};
