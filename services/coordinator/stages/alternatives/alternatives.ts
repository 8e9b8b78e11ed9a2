/**
 * Stage "alternatives": what needs no search, on the same prompts. The features that lie nearest to the direction, differ most in activation,
 * or weigh most in a linear probe, the first K of them off; active features at random; the direction ablated everywhere. Beside them the
 * features that the audit's own sets share most, which is its finding as one ranking for all prompts. Prevents: a search that is
 * believed although the first idea would have done as well.
 */
import type { FeatureRankings, RankedFeature } from '../../../../proto/gen/refusalscope/v1/search.js';
import { encodePositions } from '../../../../shared/tensors/positions.js';
import type { AuditPrompt, AuditSpec } from '../../audit/audit-spec.js';
import { drainCall } from '../../peers/drain-call.js';
import { decodeFeature } from '../../peers/from-wire.js';
import { encodeDirection, encodeLabelledPrompt } from '../../peers/to-wire.js';
import type { AlternativesFacts, RankingFacts, RankingName } from '../../report/alternatives-facts.js';
import type { Count, MinimalSetFacts } from '../../report/report-type.js';
import { rankSharedFeatures } from '../../report/shared-features.js';
import { directionsOf } from '../candidates.js';
import { searchPrompts } from '../search-prompts.js';
import type { Stage, StageContext } from '../stage.js';
import type { StageResults } from '../stage-results.js';
import { measureRankings, type Ranking } from './measure-rankings.js';

/** Numbers of features off: close together where sets are, then to more than a first step of candidates has. */
const COUNTS = [1, 2, 3, 5, 8, 13, 20, 40, 80, 120];
/** A thousand features off tell of the model more than of a ranking, and their rows fill a message. */
const MAX_COUNT = 1000;
/** About 40 evaluations each: enough prompts for a rate, few enough to be a small part of a large audit. */
const MAX_PROMPTS = 64;
/** Of each label, to compare activations over. */
const MAX_RANKED_ON = 64;
const SHOWN_FEATURES = 10;

type NamedRanking = Ranking & { readonly name: RankingName };

export const alternativesStage: Stage<'alternatives'> = {
  name: 'alternatives',
  async run(context, earlier) {
    const { sets } = earlier.filter;
    const prompts = choosePrompts(context.spec, earlier);
    const counts = countsUpTo(candidatesOff(earlier));
    const rankedOn = chooseRankedOn(context.spec.prompts);
    const ranked = await rankFeatures(context, earlier, rankedOn, counts.at(-1)!);
    const rankings = listRankings(sets, ranked);
    const { layers } = earlier.describe;
    const measured = await measureRankings(
      context,
      earlier,
      prompts,
      { rankings, counts, randomLayers: layers, direction: earlier.directions.selected },
      'alternatives',
    );
    const ids = prompts.map(({ id }) => id);
    return {
      prompts: prompts.length,
      minimalSets: countSetsBySize(sets, ids),
      rankings: [
        ...rankings.map(({ name, features }, i) => describeRanking(name, features, measured.rankings[i] ?? [])),
        describeRanking('randomActive', [], measured.randomActive),
      ],
      directionAblation: measured.directionAblation,
      rankedOn: countLabels(rankedOn),
      probeAccuracy: { count: ranked.probeRight, of: ranked.probeTotal },
    };
  },
  summarize: ({ prompts, minimalSets, rankings }) => {
    const half = (features: number | null) => (features === null ? 'none' : `${features}`);
    const others = rankings.map(({ ranking, flipsHalfAt }) => `${ranking} ${half(flipsHalfAt)}`).join(', ');
    return `features off to flip half of ${prompts} prompts: minimal sets ${half(minimalSets.flipsHalfAt)}, ${others}`;
  },
};

/** As many as the audit had off at once. */
const candidatesOff = ({ describe, filter }: StageResults): number =>
  describe.layers.length * Math.max(0, ...filter.sets.map(({ candidatesPerLayer }) => candidatesPerLayer));

/** The counts, and doubled from the last on while there are candidates for it, up to 960. */
export const countsUpTo = (candidates: number): number[] => {
  const counts = [...COUNTS];
  for (let next = 2 * counts.at(-1)!; next <= Math.min(candidates, MAX_COUNT); next *= 2) counts.push(next);
  return counts;
};

/** At most so many, at even distances, in their order. */
export const takeEvenly = <Item>(items: readonly Item[], most: number): Item[] =>
  items.length <= most
    ? [...items]
    : Array.from({ length: most }, (_, i) => items[Math.floor((i * items.length) / most)] as Item);

const choosePrompts = (spec: AuditSpec, earlier: StageResults): AuditPrompt[] => {
  const refused = earlier.filter.sets.filter(({ outcome }) => outcome !== 'not refused');
  const ids = new Set(refused.map(({ promptId }) => promptId));
  return takeEvenly(
    searchPrompts(spec, earlier).filter(({ id }) => ids.has(id)),
    MAX_PROMPTS,
  );
};

const chooseRankedOn = (prompts: readonly AuditPrompt[]): AuditPrompt[] =>
  (['harmful', 'harmless'] as const).flatMap((label) =>
    takeEvenly(
      prompts.filter((prompt) => prompt.label === label),
      MAX_RANKED_ON,
    ),
  );

const rankFeatures = (
  { spec, peers, ...context }: StageContext,
  earlier: StageResults,
  prompts: readonly AuditPrompt[],
  count: number,
): Promise<FeatureRankings> => {
  const request = {
    model: spec.model,
    prompts: prompts.map(encodeLabelledPrompt),
    directions: directionsOf(earlier, earlier.describe.layers).map(encodeDirection),
    positions: encodePositions(spec.positions),
    count,
  };
  return drainCall<FeatureRankings>(context.call(), (_known, options) => peers.search.rankFeatures(request, options));
};

const listRankings = (sets: readonly MinimalSetFacts[], ranked: FeatureRankings): NamedRanking[] => {
  const namesOf = (features: readonly RankedFeature[]) => features.map(({ feature }) => decodeFeature(feature));
  const all: NamedRanking[] = [
    { name: 'sharedFeatures', features: rankSharedFeatures(sets).map(({ feature }) => feature) },
    { name: 'cosine', features: namesOf(ranked.cosine) },
    { name: 'activationDifference', features: namesOf(ranked.activationDifference) },
    { name: 'probeWeight', features: namesOf(ranked.probeWeight) },
  ];
  return all.filter(({ features }) => features.length > 0);
};

const describeRanking = (
  ranking: RankingName,
  features: readonly string[],
  points: RankingFacts['points'],
): RankingFacts => ({
  ranking,
  first: features.slice(0, SHOWN_FEATURES),
  points,
  flipsHalfAt: flipsHalfAt(points),
});

const countLabels = (prompts: readonly AuditPrompt[]): AlternativesFacts['rankedOn'] => {
  const harmful = prompts.filter(({ label }) => label === 'harmful').length;
  return { harmful, harmless: prompts.length - harmful };
};

/** One point a size that occurs. */
export const countSetsBySize = (
  sets: readonly MinimalSetFacts[],
  promptIds: readonly string[],
): AlternativesFacts['minimalSets'] => {
  const among = new Set(promptIds);
  const sizes = sets
    .filter(({ promptId, outcome, setScore }) => among.has(promptId) && outcome === 'found' && (setScore ?? 0) < 0)
    .map(({ members }) => members.length);
  const points = [...new Set(sizes)]
    .sort((a, b) => a - b)
    .map((features) => ({
      features,
      flips: { count: sizes.filter((size) => size <= features).length, of: promptIds.length },
    }));
  return { points, flipsHalfAt: flipsHalfAt(points) };
};

const flipsHalfAt = (points: readonly { readonly features: number; readonly flips: Count }[]): number | null =>
  points.find(({ flips }) => flips.count * 2 >= flips.of)?.features ?? null;
