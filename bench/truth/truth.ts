/** What there is to find in a mechanism, by trying every subset of its features on its description. */
import type { Mechanism } from './mechanism.js';
import { simulate } from './simulate.js';

export interface DormantTruth {
  readonly feature: string;
  /** Smallest sets of other features whose loss wakes it; each sorted. */
  readonly wakers: readonly (readonly string[])[];
  readonly at: 'anywhere' | 'template' | 'bos';
}

export interface PairTruth {
  readonly first: string;
  readonly second: string;
  /** f(both off) - f(first off) - f(second off) + f(none off), log-odds. */
  readonly interaction: number;
}

export interface CategoryTruth {
  readonly category: string;
  readonly cleanScore: number;
  /** Features whose loss matters in some context. */
  readonly causal: readonly string[];
  /** Every minimal set: its loss flips, and the loss of no proper subset does. Sorted. */
  readonly minimalSets: readonly (readonly string[])[];
  /** Every minimal set of features that goes on refusing when all the others are off. */
  readonly sustainingSets: readonly (readonly string[])[];
  /** Causal features that are asleep on the clean prompt. */
  readonly dormant: readonly DormantTruth[];
  /** Of every two causal features. */
  readonly pairs: readonly PairTruth[];
}

/** Subsets of so many features are listed one by one. */
const MAX_FEATURES = 16;

export function truthOf(mechanism: Mechanism, category: string): CategoryTruth {
  const names = mechanism.features.map(({ name }) => name);
  if (names.length > MAX_FEATURES) throw new RangeError(`${names.length} features; ${MAX_FEATURES} at most`);
  const subsets = 1 << names.length;
  const outcomes = Array.from({ length: subsets }, (_, mask) => simulate(mechanism, category, setOf(names, mask)));
  const scores = outcomes.map(({ score }) => score);
  const isCausal = (bit: number) => scores.some((score, mask) => !(mask & bit) && scores[mask | bit] !== score);
  const causalBits = names.map((_, i) => 1 << i).filter(isCausal);
  const causalMask = causalBits.reduce((sum, bit) => sum | bit, 0);
  const inside = Array.from({ length: subsets }, (_, mask) => mask).filter((mask) => (mask & ~causalMask) === 0);
  const flips = (mask: number) => scores[mask]! < 0;
  const clean = scores[0]!;
  const namesOf = (mask: number) => [...setOf(names, mask)].sort();
  return {
    category,
    cleanScore: clean,
    causal: namesOf(causalMask),
    minimalSets: clean > 0 ? minimal(inside.filter(flips)).map(namesOf) : [],
    sustainingSets: minimal(inside.filter((kept) => !flips(causalMask & ~kept))).map(namesOf),
    dormant: causalBits.flatMap((bit) => {
      const feature = mechanism.features[Math.log2(bit)]!;
      const wakes = inside.filter((mask) => !(mask & bit) && outcomes[mask]!.awake.has(feature.name));
      if (wakes.includes(0)) return [];
      return [{ feature: feature.name, wakers: minimal(wakes).map(namesOf), at: feature.at }];
    }),
    pairs: causalBits.flatMap((a, i) =>
      causalBits.slice(i + 1).map((b) => ({
        first: namesOf(a)[0]!,
        second: namesOf(b)[0]!,
        interaction: scores[a | b]! - scores[a]! - scores[b]! + clean,
      })),
    ),
  };
}

const setOf = (names: readonly string[], mask: number): Set<string> => new Set(names.filter((_, i) => mask & (1 << i)));

/** Those that contain no other of the list. */
const minimal = (masks: readonly number[]): number[] =>
  masks.filter((mask) => !masks.some((other) => other !== mask && (other & mask) === other));
