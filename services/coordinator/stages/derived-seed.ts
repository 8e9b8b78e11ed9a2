/** Seeds of parts from the audit's seed, so that a part draws the same numbers whatever ran before it (or was loaded from a checkpoint). */
import { createHash } from 'node:crypto';

/** A whole number below 2^48. */
export const derivedSeed = (seed: number, part: string): number =>
  createHash('sha256').update(`${seed}/${part}`).digest().readUIntBE(0, 6);
