/**
 * Minimal hitting sets of a family that grows one set at a time (Berge's sequential method). They say where a further minimal set may
 * still hide: a set that contains none of the family leaves out a member of each, and so avoids one of these.
 */

/** Bits are members; sets are bigint masks, because candidates are more than 32. */
export type Mask = bigint;

export interface Transversals {
  /** Every minimal hitting set of what was added; one empty set at first. */
  readonly all: readonly Mask[];
  /** False once the list would have grown beyond its bound; `all` then lacks some. */
  readonly complete: boolean;
  add(set: Mask): void;
}

/** Families of a few dozen small sets have some hundreds of hitting sets; beyond this the enumeration is hopeless anyway. */
export const MAX_TRANSVERSALS = 4096;

export function createTransversals(limit = MAX_TRANSVERSALS): Transversals {
  let all: Mask[] = [0n];
  let complete = true;
  return {
    get all() {
      return all;
    },
    get complete() {
      return complete;
    },
    add: (set) => {
      const hitting = all.filter((transversal) => (transversal & set) !== 0n);
      const extended = all
        .filter((transversal) => (transversal & set) === 0n)
        .flatMap((transversal) => bitsOf(set).map((bit) => transversal | bit));
      // One that was extended can only contain one that already hits; two extended ones may be equal or nested.
      const fresh = minimalOf(extended).filter((mask) => !hitting.some((other) => (other & mask) === other));
      all = [...hitting, ...fresh];
      if (all.length > limit) {
        complete = false;
        all = all.sort((a, b) => countBits(a) - countBits(b)).slice(0, limit);
      }
    },
  };
}

/** Those that contain no other one; each once. */
export function minimalOf(masks: readonly Mask[]): Mask[] {
  const bySize = [...new Set(masks)].sort((a, b) => countBits(a) - countBits(b));
  const kept: Mask[] = [];
  for (const mask of bySize) if (!kept.some((smaller) => (smaller & mask) === smaller)) kept.push(mask);
  return kept;
}

export function bitsOf(mask: Mask): Mask[] {
  const bits: Mask[] = [];
  for (let rest = mask; rest !== 0n; rest &= rest - 1n) bits.push(rest & -rest);
  return bits;
}

export function countBits(mask: Mask): number {
  let count = 0;
  for (let rest = mask; rest !== 0n; rest &= rest - 1n) count++;
  return count;
}

export const maskOf = (members: readonly number[]): Mask =>
  members.reduce((mask, member) => mask | (1n << BigInt(member)), 0n);

/** Ascending. */
export const membersOf = (mask: Mask): number[] => bitsOf(mask).map((bit) => bit.toString(2).length - 1);
