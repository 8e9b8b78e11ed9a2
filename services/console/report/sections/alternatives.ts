/** Owns the sets beside what needs no search: how many prompts flip by the number of features off. */
import type { AlternativesFacts, RankingName } from '../../../coordinator/report/alternatives-facts.js';
import type { Count, Report } from '../../../coordinator/report/report-type.js';
import { type Markup, markup } from '../../text/markup.js';
import { changeText, countText, NOT_MEASURED } from '../../text/number-text.js';
import { type LineSeries, lineChart, seriesLegend } from '../charts/line-chart.js';
import { plainRate, rateText, shareOf } from '../count-text.js';
import { dataTable } from '../data-table.js';
import { featureNames, figure, type Section } from '../page-parts.js';

type Look = Pick<LineSeries, 'name' | 'tone' | 'shape'>;
type Ranking = AlternativesFacts['rankings'][number];

const SETS: Look = { name: 'minimal sets, at most so many', tone: 'comply', shape: 'circle' };
const DIRECTION: Look = { name: 'direction ablated everywhere', tone: 'faint', shape: 'none' };
const LOOKS: Readonly<Record<RankingName, Look>> = {
  sharedFeatures: { name: 'most shared by the sets', tone: 'comply', shape: 'ring' },
  cosine: { name: 'cosine with the direction', tone: 'ink', shape: 'square' },
  activationDifference: { name: 'difference of activation', tone: 'refuse', shape: 'diamond' },
  probeWeight: { name: 'weight in a linear probe', tone: 'refuse', shape: 'cross' },
  randomActive: { name: 'random active features', tone: 'third', shape: 'ring' },
};

/** A report may come from a version with more rankings. */
const lookOf = (ranking: RankingName): Look =>
  (LOOKS as Partial<Record<string, Look>>)[ranking] ?? { name: ranking, tone: 'third', shape: 'cross' };

/** Undefined for a report of a version without it. */
export function alternativesSection({ alternatives }: Report): Section | undefined {
  if (alternatives === undefined) return undefined;
  const body =
    alternatives.prompts === 0
      ? markup`<p class="nothing">No searched prompt is refused, so there is nothing to flip.</p>`
      : measured(alternatives);
  return { id: 'alternatives', title: 'Beside the obvious alternatives', body };
}

function measured(facts: AlternativesFacts): Markup {
  const { prompts, rankedOn, probeAccuracy } = facts;
  const series = seriesOf(facts);
  return markup`
<p>${headline(facts)}</p>
<p>What anyone would try first, on the same ${countText(prompts)} prompts: the first features of one ranking of all searched layers, off together on every prompt. Activations were compared over ${countText(rankedOn.harmful)} harmful and ${countText(rankedOn.harmless)} harmless prompts${probeAccuracy.of > 0 && `; the probe, fitted on the others, puts ${rateText(probeAccuracy)} of them on their own side`}. A minimal set is searched for its own prompt, which no ranking is: the fair comparison of rankings is with the features that most sets share, taken from the sets of these very prompts.</p>
${seriesLegend(series)}
${figure(chartOf(facts, series), 'Share of prompts that flip by their score, by the number of features off. Many features off may break the model as well as the refusal: a flip here was not read as text.', 'Flips by the number of features off')}
${flipTable(facts)}
${rankingTable(facts)}`;
}

/** What it takes to flip half of the prompts, from the sets to the last ranking. */
function headline({ prompts, minimalSets, rankings, directionAblation }: AlternativesFacts): Markup {
  const half = (features: number | null) => (features === null ? 'never' : countText(features));
  const others = rankings.map(({ ranking, flipsHalfAt }) => `${lookOf(ranking).name} ${half(flipsHalfAt)}`);
  return markup`Features that must be off until half of the ${countText(prompts)} prompts flip: <strong>minimal sets ${half(minimalSets.flipsHalfAt)}</strong>; ${others.join('; ')}. ${directionAblation && `The direction, ablated at every layer, flips ${rateText(directionAblation.flips)}.`}`;
}

const largestOf = ({ rankings, minimalSets }: AlternativesFacts): number =>
  Math.max(1, ...[...rankings, minimalSets].flatMap(({ points }) => points.map(({ features }) => features)));

function seriesOf(facts: AlternativesFacts): LineSeries[] {
  const line = (look: Look, points: readonly { readonly features: number; readonly flips: Count }[]): LineSeries => ({
    ...look,
    points: points.map(({ features, flips }) => ({
      x: features,
      y: 100 * shareOf(flips),
      tip: `${look.name}, ${countText(features)} off: ${rateText(flips)} flip`,
    })),
  });
  const last = largestOf(facts);
  const { minimalSets, rankings, directionAblation } = facts;
  return [
    { ...line(SETS, minimalSets.points), extendTo: last },
    ...rankings.map(({ ranking, points }) => line(lookOf(ranking), points)),
    ...(directionAblation === null
      ? []
      : [{ ...line(DIRECTION, [{ features: 1, flips: directionAblation.flips }]), extendTo: last }]),
  ];
}

const countsOf = ({ rankings }: AlternativesFacts): number[] =>
  [...new Set(rankings.flatMap(({ points }) => points.map(({ features }) => features)))].sort((a, b) => a - b);

/** Where two rankings have a point: one that ends between them would crowd the axis. */
const ticksOf = (facts: AlternativesFacts): number[] =>
  countsOf(facts).filter((count) => facts.rankings.filter((ranking) => pointAt(ranking, count)).length > 1);

const chartOf = (facts: AlternativesFacts, series: readonly LineSeries[]): Markup =>
  lineChart({
    title: 'Share of prompts that flip, by the number of features off',
    description: series
      .map(({ name, points }) => `${name}: ${points.map(({ x, y }) => `${x} off ${Math.round(y)} %`).join(', ')}`)
      .join('; '),
    width: 700,
    height: 320,
    xLabel: 'features off (log scale)',
    yLabel: 'prompts that flip (%)',
    yInclude: [0, 100],
    xScale: 'log',
    xTicks: ticksOf(facts),
    series,
  });

/** Sets of at most so many features; none is smaller than the smallest. */
const setsWithin = ({ prompts, minimalSets }: AlternativesFacts, most: number): Count =>
  minimalSets.points.findLast(({ features }) => features <= most)?.flips ?? { count: 0, of: prompts };

const flipTable = (facts: AlternativesFacts): Markup =>
  dataTable({
    caption: 'Prompts that flip, by the number of features off',
    sortable: false,
    rows: countsOf(facts),
    columns: [
      { title: 'features off', cell: (count: number) => countText(count), value: (count) => count },
      {
        title: SETS.name,
        cell: (count) => plainRate(setsWithin(facts, count)),
        value: (count) => setsWithin(facts, count).count,
      },
      ...facts.rankings.map((ranking) => ({
        title: lookOf(ranking.ranking).name,
        cell: (count: number) => rateAt(ranking, count),
        value: (count: number) => pointAt(ranking, count)?.flips.count ?? null,
      })),
    ],
  });

const pointAt = ({ points }: Ranking, count: number) => points.find(({ features }) => features === count);

const rateAt = (ranking: Ranking, count: number): string => {
  const point = pointAt(ranking, count);
  return point === undefined ? NOT_MEASURED : plainRate(point.flips);
};

const rankingTable = ({ rankings }: AlternativesFacts): Markup =>
  dataTable({
    caption: 'The rankings',
    sortable: false,
    rows: rankings,
    columns: [
      { title: 'ranking', cell: ({ ranking }: Ranking) => lookOf(ranking).name },
      {
        title: 'first features',
        cell: ({ first }) => (first.length > 0 ? featureNames(first) : 'another order for each prompt'),
      },
      { title: 'most off', cell: ({ points }) => countText(points.at(-1)?.features) },
      { title: 'mean score change then (nats)', cell: ({ points }) => changeText(points.at(-1)?.meanScoreChange) },
      {
        title: 'changed nothing, first feature off',
        cell: ({ points }) => {
          const first = points[0];
          return first === undefined ? NOT_MEASURED : plainRate({ count: first.didNotAct, of: first.flips.of });
        },
      },
    ],
  });
