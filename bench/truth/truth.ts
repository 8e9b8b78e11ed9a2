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

/** What follows from the scores of all subsets of the causal features. */
export interface FamilyTruth {
  /** Log-odds of refusing with each of `subsetsOf(causal)` off, in that order. */
  readonly scores: readonly number[];
  /** Every minimal set: its loss flips, and the loss of no proper subset does. Sorted. */
  readonly minimalSets: readonly (readonly string[])[];
  /** Every minimal set of features that goes on refusing when all the others are off; none where there is no minimal set. */
  readonly sustainingSets: readonly (readonly string[])[];
  /** Of every two causal features. */
  readonly pairs: readonly PairTruth[];
}

export interface CategoryTruth extends FamilyTruth {
  readonly category: string;
  /** Features whose loss matters in some context. */
  readonly causal: readonly string[];
  /** Causal features that are asleep on the clean prompt. */
  readonly dormant: readonly DormantTruth[];
  /** Those of them whose loss matters once everything that is on below the last feature's layer is off, and what wakes then. */
  readonly dormantBelowAll: readonly string[];
}

/** Subsets of so many features are listed one by one. */
const MAX_FEATURES = 16;

export function truthOf(mechanism: Mechanism, category: string): CategoryTruth {
  const names = mechanism.features.map(({ name }) => name);
  if (names.length > MAX_FEATURES) throw new RangeError(`${names.length} features; ${MAX_FEATURES} at most`);
  const outcomes = subsetsOf(names).map((off) => simulate(mechanism, category, off));
  const scores = outcomes.map(({ score }) => score);
  const isCausal = (bit: number) => scores.some((score, mask) => !(mask & bit) && scores[mask | bit] !== score);
  const causalBits = names.map((_, i) => 1 << i).filter(isCausal);
  const causalMask = causalBits.reduce((sum, bit) => sum | bit, 0);
  const inside = outcomes.map((_, mask) => mask).filter((mask) => (mask & ~causalMask) === 0);
  const namesOf = (mask: number) => [...setOf(names, mask)].sort();
  const causal = names.filter((_, i) => causalMask & (1 << i));
  return {
    category,
    causal,
    ...familyOf(
      causal,
      inside.map((mask) => scores[mask]!),
    ),
    dormant: causalBits.flatMap((bit) => {
      const feature = mechanism.features[Math.log2(bit)]!;
      const wakes = inside.filter((mask) => !(mask & bit) && outcomes[mask]!.awake.has(feature.name));
      if (wakes.includes(0)) return [];
      return [{ feature: feature.name, wakers: minimal(wakes).map(namesOf), at: feature.at }];
    }),
    dormantBelowAll: dormantBelowAll(mechanism, category),
  };
}

/** In an AND with a feature that is off nothing else matters, so a backup may not be among them. */
function dormantBelowAll(mechanism: Mechanism, category: string): string[] {
  const { features } = mechanism;
  const last = Math.max(...features.map(({ layer }) => layer));
  const clean = simulate(mechanism, category, new Set()).awake;
  const scoreOf = (off: readonly string[]) => simulate(mechanism, category, new Set(off)).score;
  const first = features.filter(({ name, layer }) => layer < last && clean.has(name)).map(({ name }) => name);
  const rounds: string[][] = [];
  for (;;) {
    const { awake } = simulate(mechanism, category, new Set([...first, ...rounds.flat()]));
    const fresh = [...awake].filter((name) => !clean.has(name) && !rounds.flat().includes(name));
    if (fresh.length === 0) break;
    rounds.push(fresh);
  }
  const all = [...first, ...rounds.flat()];
  return rounds.flatMap((fresh, round) =>
    fresh.filter((name) => {
      const before = [...first, ...rounds.slice(0, round).flat()];
      const others = all.filter((other) => other !== name);
      return scoreOf([...before, name]) !== scoreOf(before) || scoreOf(all) !== scoreOf(others);
    }),
  );
}

export function familyOf(causal: readonly string[], scores: readonly number[]): FamilyTruth {
  const everything = scores.length - 1;
  const masks = scores.map((_, mask) => mask);
  const flips = (mask: number) => scores[mask]! < 0;
  const clean = scores[0]!;
  const namesOf = (mask: number) => [...setOf(causal, mask)].sort();
  const interaction = (a: number, b: number) => scores[a | b]! - scores[a]! - scores[b]! + clean;
  const minimalSets = clean > 0 ? minimal(masks.filter(flips)) : [];
  const sustaining = minimalSets.length > 0 ? masks.filter((kept) => !flips(everything & ~kept)) : [];
  return {
    scores,
    minimalSets: minimalSets.map(namesOf),
    sustainingSets: minimal(sustaining).map(namesOf),
    pairs: causal.flatMap((first, i) =>
      causal.slice(i + 1).map((second, j) => ({ first, second, interaction: interaction(1 << i, 1 << (i + 1 + j)) })),
    ),
  };
}

/** All of them: the one at place m holds the names whose bit is set in m. */
export const subsetsOf = (names: readonly string[]): Set<string>[] =>
  Array.from({ length: 1 << names.length }, (_, mask) => setOf(names, mask));

const setOf = (names: readonly string[], mask: number): Set<string> => new Set(names.filter((_, i) => mask & (1 << i)));

/** Those that contain no other of the list. */
const minimal = (masks: readonly number[]): number[] =>
  masks.filter((mask) => !masks.some((other) => other !== mask && (other & mask) === other));
