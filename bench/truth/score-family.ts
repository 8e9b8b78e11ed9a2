/** The minimal sets of one prompt, their duals and their pairs against a truth: the description's, or what was measured on the model. */
import type { FeatureId } from '../../shared/tensors/feature-name.js';
import { LEAST_EFFECT, type RecoveredPrompt } from './recover.js';
import { type Share, share, type Tally, tally } from './tally.js';
import type { FamilyTruth } from './truth.js';

export interface FamilyScore {
  /** Stage 2's set is one of the true minimal sets. */
  readonly oneSet: Share;
  readonly minimalSets: Tally;
  readonly sustainingSets: Tally;
  /** Necessary features and depth of defence, both as they should be. */
  readonly depth: Share;
  /** Pairs that interact: those inside the minimal sets, and others that were measured. */
  readonly interactions: Tally;
  /** Pairs that do not interact, and were measured not to. */
  readonly quietPairs: Share;
  /** Largest |measured - exact| / max(1, |exact|) of all pairs. */
  readonly interactionError: number;
}

export type NameOf = (feature: FeatureId) => string;

export function scoreFamily(recovered: RecoveredPrompt, truth: FamilyTruth, nameOf: NameOf): FamilyScore {
  const { family, set } = recovered;
  const real = truth.minimalSets.map(setKey);
  const keysOf = (sets: readonly { readonly members: readonly FeatureId[] }[]) =>
    sets.map(({ members }) => setKey(members.map(nameOf)));
  const [first = [], ...others] = truth.minimalSets;
  const necessary = others.reduce((common, own) => common.filter((name) => own.includes(name)), first);
  return {
    oneSet: share(set.members.length === 0 ? real.length === 0 : real.includes(setKey(set.members.map(nameOf)))),
    minimalSets: tally(keysOf(family.sets), real),
    sustainingSets: tally(keysOf(family.sustaining), truth.sustainingSets.map(setKey)),
    depth: share(
      setKey(family.necessary.map(nameOf)) === setKey(necessary) &&
        family.depthOfDefence === mostDisjoint(truth.sustainingSets),
    ),
    ...scorePairs(recovered, truth, nameOf),
  };
}

function scorePairs({ pairs }: RecoveredPrompt, truth: FamilyTruth, nameOf: NameOf) {
  const exact = new Map(truth.pairs.map(({ first, second, interaction }) => [setKey([first, second]), interaction]));
  const measured = pairs.map(({ pair, interaction }) => ({
    key: setKey([nameOf(pair.first), nameOf(pair.second)]),
    interaction,
  }));
  const inSets = new Set(truth.minimalSets.flat());
  const asked = new Set(measured.map(({ key }) => key));
  const real = truth.pairs
    .filter(({ interaction }) => Math.abs(interaction) > LEAST_EFFECT)
    .filter(({ first, second }) => (inSets.has(first) && inSets.has(second)) || asked.has(setKey([first, second])))
    .map(({ first, second }) => setKey([first, second]));
  const found = measured.filter(({ interaction }) => Math.abs(interaction) > LEAST_EFFECT);
  const interacts = (key: string) => Math.abs(exact.get(key) ?? 0) > LEAST_EFFECT;
  const quiet = measured.filter(({ key }) => !interacts(key));
  const rightSign = found.filter(({ key, interaction }) => Math.sign(interaction) === Math.sign(exact.get(key) ?? 0));
  const errors = measured.map(({ key, interaction }) => {
    const value = exact.get(key) ?? 0;
    return Math.abs(interaction - value) / Math.max(1, Math.abs(value));
  });
  return {
    interactions: { hits: rightSign.length, found: found.length, real: real.length },
    quietPairs: {
      right: quiet.filter(({ interaction }) => Math.abs(interaction) <= LEAST_EFFECT).length,
      asked: quiet.length,
    },
    interactionError: Math.max(0, ...errors),
  };
}

export const setKey = (names: readonly string[]): string => [...names].sort().join(' + ');

/** By trying every choice: a mechanism has a few dozen sustaining sets at most. */
function mostDisjoint(sets: readonly (readonly string[])[], used: ReadonlySet<string> = new Set()): number {
  return sets.reduce((best, set, i) => {
    if (set.some((name) => used.has(name))) return best;
    return Math.max(best, 1 + mostDisjoint(sets.slice(i + 1), new Set([...used, ...set])));
  }, 0);
}
