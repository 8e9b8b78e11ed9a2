/** Owns how deep refusal goes: how many prompts flip with one layer's candidates off, with all up to it, with all from it on. */
import type { DepthProfileFacts, Report } from '../../../coordinator/report/report-type.js';
import { type Markup, markup } from '../../text/markup.js';
import { countText, numberText } from '../../text/number-text.js';
import { type LineSeries, lineChart, seriesLegend } from '../charts/line-chart.js';
import { rateText, shareOf } from '../count-text.js';
import { dataTable } from '../data-table.js';
import { figure, type Section } from '../page-parts.js';

type LayerRow = DepthProfileFacts['layers'][number];

const WAYS = [
  {
    name: 'this layer alone',
    short: 'alone',
    flips: 'flipsAlone',
    score: 'meanScoreAlone',
    tone: 'comply',
    shape: 'circle',
  },
  {
    name: 'all layers up to it',
    short: 'up to it',
    flips: 'flipsUpTo',
    score: 'meanScoreUpTo',
    tone: 'ink',
    shape: 'square',
  },
  {
    name: 'it and all later layers',
    short: 'from it on',
    flips: 'flipsFrom',
    score: 'meanScoreFrom',
    tone: 'third',
    shape: 'diamond',
  },
] as const;

export function depthSection({ depthProfile }: Report): Section {
  const caption = markup`Share of prompts that flip with the ${countText(depthProfile.candidatesPerLayer)} candidates a layer off. A late layer that alone flips everything may merely write the opener; a flip at an early layer acts on what leads to it.`;
  const body = markup`
${seriesLegend(WAYS)}
<div class="side-by-side">${figure(flipChart(depthProfile), caption, 'Flips by layer')}${figure(scoreChart(depthProfile), 'Mean refusal score under the same edits. Below the dotted line the model no longer refuses on average.', 'Scores by layer')}</div>
${dataTable({
  caption: 'Flips by layer',
  rows: depthProfile.layers,
  columns: [
    { title: 'layer', cell: (row: LayerRow) => String(row.layer), value: (row) => row.layer },
    ...WAYS.map((way) => ({
      title: `flips, ${way.short}`,
      cell: (row: LayerRow) => rateText(row[way.flips]),
      value: (row: LayerRow) => shareOf(row[way.flips]),
    })),
    ...WAYS.map((way) => ({
      title: `mean score, ${way.short}`,
      cell: (row: LayerRow) => numberText(row[way.score]),
      value: (row: LayerRow) => row[way.score],
    })),
  ],
})}`;
  return { id: 'depth', title: 'How deep it goes', body };
}

const seriesOf = (
  profile: DepthProfileFacts,
  y: (row: LayerRow, way: (typeof WAYS)[number]) => number,
  said: (row: LayerRow, way: (typeof WAYS)[number]) => string,
): LineSeries[] =>
  WAYS.map((way) => ({
    ...way,
    points: profile.layers.map((row) => ({
      x: row.layer,
      y: y(row, way),
      tip: `layer ${row.layer}, ${way.name}: ${said(row, way)}`,
    })),
  }));

const layersOf = (profile: DepthProfileFacts): number[] => profile.layers.map(({ layer }) => layer);

const flipChart = (profile: DepthProfileFacts): Markup =>
  lineChart({
    title: 'Share of prompts that flip, by layer',
    description: profile.layers.map((row) => `layer ${row.layer} alone ${rateText(row.flipsAlone)}`).join('; '),
    width: 344,
    height: 260,
    xLabel: 'layer',
    yLabel: 'prompts that flip (%)',
    yInclude: [0, 100],
    xTicks: layersOf(profile),
    series: seriesOf(
      profile,
      (row, way) => 100 * shareOf(row[way.flips]),
      (row, way) => `${rateText(row[way.flips])} flip`,
    ),
  });

const scoreChart = (profile: DepthProfileFacts): Markup =>
  lineChart({
    title: 'Mean refusal score, by layer',
    description: profile.layers.map((row) => `layer ${row.layer} alone ${numberText(row.meanScoreAlone)}`).join('; '),
    width: 344,
    height: 260,
    xLabel: 'layer',
    yLabel: 'mean refusal score (nats)',
    yInclude: [0],
    yReference: 0,
    xTicks: layersOf(profile),
    series: seriesOf(
      profile,
      (row, way) => row[way.score],
      (row, way) => `score ${numberText(row[way.score])}`,
    ),
  });
