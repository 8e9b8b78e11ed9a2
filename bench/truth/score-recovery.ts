/** Holds what the search recovered against what was planted: counts, of which precision and recall are made. */
import type { HydraFeature } from '../../services/search/stages/trace-hydra.js';
import { type FeatureId, formatFeature } from '../../shared/tensors/feature-name.js';
import type { PlantedModel } from './plant/plant-model.js';
import { LEAST_EFFECT, type RecoveredCategory, type RecoveredPrompt, type Recovery } from './recover.js';
import { simulate } from './simulate.js';
import { type CategoryTruth, truthOf } from './truth.js';

/** hits / found is precision, hits / real is recall. */
export interface Tally {
  readonly hits: number;
  readonly found: number;
  readonly real: number;
}

/** right / asked. */
export interface Share {
  readonly right: number;
  readonly asked: number;
}

export interface Score {
  /** The nearest n features of each layer, n being how many near ones were planted there. */
  readonly nearest: Tally;
  /** Causal features among the candidates. */
  readonly causal: Share;
  /** Stage 2's set is one of the true minimal sets. */
  readonly oneSet: Share;
  readonly minimalSets: Tally;
  readonly sustainingSets: Tally;
  /** Necessary features and depth of defence, both as they should be. */
  readonly depth: Share;
  /** Pairs that interact: those inside the minimal sets, and others that were measured. */
  readonly interactions: Tally;
  /** Largest |measured - exact| / max(1, |exact|) of all pairs. */
  readonly interactionError: number;
  readonly dormant: Tally;
  /** Dormant features with the right wakers and the right place. */
  readonly wakers: Share;
  readonly sufficiency: Share;
  /** Null hydras that reported something. */
  readonly nullHydras: Share;
}

export function scoreRecovery(planted: PlantedModel, recovery: Recovery): Score {
  const names = new Map([...planted.places].map(([name, place]) => [formatFeature(place), name]));
  const nameOf = (feature: FeatureId): string => names.get(formatFeature(feature)) ?? formatFeature(feature);
  const parts = recovery.categories.map((category) =>
    scoreCategory(planted, category, { nameOf, truth: truthOf(planted.mechanism, category.category) }),
  );
  const causal = [
    ...new Set(recovery.categories.flatMap(({ category }) => truthOf(planted.mechanism, category).causal)),
  ];
  const ranked = new Set(recovery.ranked.map(nameOf));
  return {
    ...addScores(parts),
    nearest: scoreNearest(planted, recovery),
    causal: { right: causal.filter((name) => ranked.has(name)).length, asked: causal.length },
  };
}

function scoreNearest({ places, near }: PlantedModel, { ranked }: Recovery): Tally {
  const planted = [...places.values(), ...near];
  const layers = [...new Set(planted.map(({ layer }) => layer))];
  const tallies = layers.map((layer) => {
    const real = planted.filter((feature) => feature.layer === layer).map(formatFeature);
    const nearest = ranked.filter((feature) => feature.layer === layer).slice(0, real.length);
    return tally(nearest.map(formatFeature), real);
  });
  return tallies.reduce(addTallies);
}

interface Key {
  readonly truth: CategoryTruth;
  nameOf(feature: FeatureId): string;
}

type CategoryScore = Omit<Score, 'nearest' | 'causal'>;

function scoreCategory(planted: PlantedModel, category: RecoveredCategory, key: Key): CategoryScore {
  const prompts = category.prompts.map((prompt) => scorePrompt(planted, prompt, key));
  const asleep = category.prompts.flatMap(({ family }) =>
    family.members.filter(({ cleanActivation }) => cleanActivation === 0),
  );
  const woken = category.hydras.flatMap(({ features }) => features);
  const found = [...new Set([...asleep, ...woken].map(key.nameOf))];
  const nothing = { hits: 0, found: 0, real: 0 };
  return {
    ...addScores(prompts),
    dormant:
      tally(
        found,
        key.truth.dormant.map(({ feature }) => feature),
      ) ?? nothing,
    wakers: {
      right: key.truth.dormant.filter((real) =>
        woken.some((own) => key.nameOf(own) === real.feature && wakesRight(own, real, key)),
      ).length,
      asked: key.truth.dormant.length,
    },
    nullHydras: { right: category.nullHydra.features.length > 0 ? 1 : 0, asked: 1 },
  };
}

function wakesRight(
  { wakers }: HydraFeature,
  { wakers: real, at }: CategoryTruth['dormant'][number],
  { nameOf }: Key,
): boolean {
  const own = setKey(wakers.features.map(nameOf));
  const { bos, template, content } = wakers.positions;
  const place =
    at === 'bos'
      ? bos > 0 && template + content === 0
      : at === 'template'
        ? template > 0 && bos + content === 0
        : template + content > 0;
  return place && real.some((set) => setKey(set) === own);
}

function scorePrompt(planted: PlantedModel, recovered: RecoveredPrompt, key: Key): CategoryScore {
  const { truth, nameOf } = key;
  const { family, set } = recovered;
  const real = truth.minimalSets.map(setKey);
  const keysOf = (sets: readonly { readonly members: readonly FeatureId[] }[]) =>
    sets.map(({ members }) => setKey(members.map(nameOf)));
  const pairs = scorePairs(recovered, key);
  const necessary = truth.minimalSets.reduce((common, own) => common.filter((name) => own.includes(name)));
  const depthIsRight =
    setKey(family.necessary.map(nameOf)) === setKey(necessary) &&
    family.depthOfDefence === mostDisjoint(truth.sustainingSets);
  const claims = recovered.sufficiency.map((claim) => checkSufficiency(planted, claim, key));
  return {
    oneSet: { right: real.includes(setKey(set.members.map(nameOf))) ? 1 : 0, asked: 1 },
    minimalSets: tally(keysOf(family.sets), real),
    sustainingSets: tally(keysOf(family.sustaining), truth.sustainingSets.map(setKey)),
    depth: { right: depthIsRight ? 1 : 0, asked: 1 },
    ...pairs,
    dormant: { hits: 0, found: 0, real: 0 },
    wakers: { right: 0, asked: 0 },
    sufficiency: claims.reduce(addShares, { right: 0, asked: 0 }),
    nullHydras: { right: 0, asked: 0 },
  };
}

function scorePairs({ pairs }: RecoveredPrompt, { truth, nameOf }: Key) {
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
  const rightSign = found.filter(({ key, interaction }) => Math.sign(interaction) === Math.sign(exact.get(key) ?? 0));
  const errors = measured.map(({ key, interaction }) => {
    const value = exact.get(key) ?? 0;
    return Math.abs(interaction - value) / Math.max(1, Math.abs(value));
  });
  return {
    interactions: { hits: rightSign.length, found: found.length, real: real.length },
    interactionError: Math.max(0, ...errors),
  };
}

/**
 * Left on, put back, and written into harmless prompts: each as the description says. Every harmless prompt is a question of its own: with
 * noise the model really answers one of them otherwise now and then, which says nothing of the rest.
 */
function checkSufficiency(
  { mechanism }: PlantedModel,
  { set, report }: RecoveredPrompt['sufficiency'][number],
  { truth: { category }, nameOf }: Key,
): Share {
  const all = mechanism.features.map(({ name }) => name);
  const members = new Set(set.map(nameOf));
  const others = new Set(all.filter((name) => !members.has(name)));
  const awake = simulate(mechanism, category, new Set()).awake;
  const written = new Set([...members].filter((name) => awake.has(name)));
  const leftOn = simulate(mechanism, category, others).score;
  const notWritten = new Set(all.filter((name) => !written.has(name)));
  const putBack = simulate(mechanism, category, notWritten, written).score;
  const caused = simulate(mechanism, undefined, new Set(), written).score;
  const { leftOnScore, putBackScore, harmlessRefused } = report.set;
  const right = [leftOnScore > 0 === leftOn > 0, putBackScore > 0 === putBack > 0].filter(Boolean).length;
  const harmlessRight = caused > 0 ? harmlessRefused : report.harmlessTotal - harmlessRefused;
  return { right: right + harmlessRight, asked: 2 + report.harmlessTotal };
}

const setKey = (names: readonly string[]): string => [...names].sort().join(' + ');

function tally(found: readonly string[], real: readonly string[]): Tally {
  const truth = new Set(real);
  return { hits: found.filter((name) => truth.has(name)).length, found: found.length, real: real.length };
}

/** By trying every choice: a mechanism has a few dozen sustaining sets at most. */
function mostDisjoint(sets: readonly (readonly string[])[], used: ReadonlySet<string> = new Set()): number {
  return sets.reduce((best, set, i) => {
    if (set.some((name) => used.has(name))) return best;
    return Math.max(best, 1 + mostDisjoint(sets.slice(i + 1), new Set([...used, ...set])));
  }, 0);
}

const addTallies = (a: Tally, b: Tally): Tally => ({
  hits: a.hits + b.hits,
  found: a.found + b.found,
  real: a.real + b.real,
});
const addShares = (a: Share, b: Share): Share => ({ right: a.right + b.right, asked: a.asked + b.asked });

/** Sums; of errors the largest. */
export function addScores<Part extends Partial<Score>>(parts: readonly Part[]): Part {
  return parts.reduce((sum, part) => {
    const keys = Object.keys(sum) as (keyof Score)[];
    return Object.fromEntries(
      keys.map((key) => {
        const [a, b] = [sum[key], part[key]];
        if (typeof a === 'number') return [key, Math.max(a, b as number)];
        return [key, 'hits' in a! ? addTallies(a, b as Tally) : addShares(a as Share, b as Share)];
      }),
    ) as unknown as Part;
  });
}
