/** One case: its input from seed and number alone, and what the reader made of it. Anything but a verdict or a registered fault is a defect. */
import { FAULTS, isFault } from '../../../shared/errors/fault.js';
import { createSeededRandom, type SeededRandom } from '../../../shared/random/seeded-random.js';
import type { FuzzInput, OpenTarget } from './fuzz-target.js';

export type Outcome =
  | { readonly kind: 'accepted' }
  /** By the code of the fault; 'verdict' for a reader that reports. */
  | { readonly kind: 'refused'; readonly code: string }
  | { readonly kind: 'defect'; readonly text: string };

const ACCEPTED: Outcome = { kind: 'accepted' };
const UNSOUND: Outcome = { kind: 'refused', code: 'verdict' };

/** Seeds below 2^20 and cases below 2^32 never share a stream. */
export const randomOfCase = (seed: number, number: number): SeededRandom =>
  createSeededRandom(seed * 0x100000000 + number);

export const tryCase = (target: OpenTarget, input: FuzzInput): Outcome | Promise<Outcome> => {
  try {
    const verdict = target.decode(input);
    return typeof verdict === 'boolean' ? outcomeOf(verdict) : verdict.then(outcomeOf, thrownOutcome);
  } catch (thrown) {
    return thrownOutcome(thrown);
  }
};

const outcomeOf = (sound: boolean): Outcome => (sound ? ACCEPTED : UNSOUND);

const thrownOutcome = (thrown: unknown): Outcome => {
  if (isFault(thrown) && thrown.code !== 'INTERNAL' && Object.hasOwn(FAULTS, thrown.code))
    return { kind: 'refused', code: thrown.code };
  return { kind: 'defect', text: thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown) };
};

/**
 * Runs a part of a case that may be refused while the rest is read on: true if it was not. Everything but a registered fault goes on up.
 */
export const isRead = (action: () => unknown): boolean => {
  try {
    action();
    return true;
  } catch (thrown) {
    if (thrownOutcome(thrown).kind === 'refused') return false;
    throw thrown;
  }
};
