/** Holds what the search recovered against what was planted: counts, of which precision and recall are made. */
import type { HydraFeature } from '../../services/search/stages/trace-hydra.js';
import { formatFeature } from '../../shared/tensors/feature-name.js';
import type { PlantedModel } from './plant/plant-model.js';
import type { RecoveredCategory, RecoveredPrompt, Recovery } from './recover.js';
import { type FamilyScore, type NameOf, scoreFamily, setKey } from './score-family.js';
import { simulate } from './simulate.js';
import { addScores, addShares, addTallies, NOTHING, type Share, share, type Tally, tally, UNASKED } from './tally.js';
import { type CategoryTruth, truthOf } from './truth.js';

export interface Score extends FamilyScore {
  /** The nearest n features of each layer, n being how many near ones were planted there. */
  readonly nearest: Tally;
  /** Causal features among the candidates. */
  readonly causal: Share;
  readonly dormant: Tally;
  /** Those that matter once all that is on in earlier layers is off, of the trace that knows no minimal set. */
  readonly fromStrongest: Tally;
  /** Dormant features with the right wakers and the right place. */
  readonly wakers: Share;
  readonly sufficiency: Share;
  /** Null hydras that reported something. */
  readonly nullHydras: Share;
}

export function scoreRecovery(planted: PlantedModel, recovery: Recovery): Score {
  const nameOf = namesIn(planted);
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

/** Names of planted features; of others the place. */
export function namesIn({ places }: PlantedModel): NameOf {
  const names = new Map([...places].map(([name, place]) => [formatFeature(place), name]));
  return (feature) => names.get(formatFeature(feature)) ?? formatFeature(feature);
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
  readonly nameOf: NameOf;
}

type CategoryScore = Omit<Score, 'nearest' | 'causal'>;

function scoreCategory(planted: PlantedModel, category: RecoveredCategory, key: Key): CategoryScore {
  const prompts = category.prompts.map((prompt) => scorePrompt(planted, prompt, key));
  const asleep = category.prompts.flatMap(({ family }) =>
    family.members.filter(({ cleanActivation }) => cleanActivation === 0),
  );
  const woken = category.hydras.flatMap(({ features }) => features);
  const found = [...new Set([...asleep, ...woken].map(key.nameOf))];
  const real = key.truth.dormant.map(({ feature }) => feature);
  return {
    ...addScores(prompts),
    dormant: tally(found, real),
    fromStrongest: category.fromStrongest
      ? tally(category.fromStrongest.features.map(key.nameOf), key.truth.dormantBelowAll)
      : NOTHING,
    wakers: {
      right: key.truth.dormant.filter((real) =>
        woken.some((own) => key.nameOf(own) === real.feature && wakesRight(own, real, key)),
      ).length,
      asked: key.truth.dormant.length,
    },
    nullHydras: share(category.nullHydra.features.length > 0),
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
  const claims = recovered.sufficiency.map((claim) => checkSufficiency(planted, claim, key));
  return {
    ...scoreFamily(recovered, key.truth, key.nameOf),
    dormant: NOTHING,
    fromStrongest: NOTHING,
    wakers: UNASKED,
    sufficiency: claims.reduce(addShares, UNASKED),
    nullHydras: UNASKED,
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
