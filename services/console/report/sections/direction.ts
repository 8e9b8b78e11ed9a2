/** Owns the direction by layer and position: three heat maps on one grid, the selected cell framed, the rejected ones struck through with their reason. */
import type { DirectionFacts, Directions, Report } from '../../../coordinator/report/report-type.js';
import { type Markup, markup } from '../../text/markup.js';
import { countText, numberText } from '../../text/number-text.js';
import { type HeatMapSpec, heatMap, reachOf } from '../charts/heat-map.js';
import { dataTable } from '../data-table.js';
import { figure, type Section } from '../page-parts.js';

const REASONS: Readonly<Record<string, string>> = {
  layer: 'too late in the model',
  kl: 'changes harmless answers too much',
  induce: 'does not induce refusal',
  'not-finite': 'a score is not a number',
  'not-scored': 'not among the best by bypass score',
};

const reasonText = ({ rejected }: DirectionFacts): string => rejected.map((code) => REASONS[code] ?? code).join('; ');

/** A position from the end, with a true minus sign. */
const positionText = (position: number): string => numberText(position, 0);

export function directionSection({ directions, model }: Report): Section {
  const { harmfulFit, harmlessFit, harmfulHeldOut, harmlessHeldOut, dropped } = directions;
  const body = markup`
<p>${selectedSentence(directions)}</p>
${figure(markup`${heatMaps(directions)}`, markup`Mean difference of ${harmfulFit} harmful and ${harmlessFit} harmless prompts at each of ${model.nLayers} layers and the last ${model.templateSuffixLength} positions, scored on ${harmfulHeldOut} and ${harmlessHeldOut} held-out ones (${dropped} left out, because label and clean score disagree). Bypass: harmful prompts, direction ablated at every layer; low is good. Induce: harmless prompts, direction added; high is good. KL: change of the first answer token on harmless prompts; low is good. Framed: selected. Struck through: rejected (${rejectedCounts(directions)}).`, 'Direction by layer and position')}
<details><summary>All ${countText(directions.tried.length)} directions as a table</summary>${directionTable(directions)}</details>`;
  return { id: 'direction', title: 'The direction by layer and position', body };
}

function selectedSentence({ tried, selected }: Directions): Markup {
  const direction = selected === null ? undefined : tried[selected];
  if (!direction)
    return markup`<strong>No direction passed the filters.</strong> Each layer’s best position was used for the candidates all the same.`;
  return markup`Selected: <strong>layer ${direction.layer}, position ${positionText(direction.position)}</strong>. Bypass score ${numberText(direction.bypassScore)}, induce score ${numberText(direction.induceScore)}, KL ${numberText(direction.kl, 3)} nats, length of the mean difference ${numberText(direction.rawNorm)}.`;
}

function rejectedCounts({ tried }: Directions): string {
  const counts = new Map<string, number>();
  for (const { rejected } of tried) for (const code of rejected) counts.set(code, (counts.get(code) ?? 0) + 1);
  const parts = [...counts].sort().map(([code, count]) => `${count} ${REASONS[code] ?? code}`);
  return parts.length > 0 ? parts.join(', ') : 'none';
}

type Measure = {
  readonly label: string;
  readonly value: (direction: DirectionFacts) => number;
  readonly above: string;
  readonly below: string;
  /** The strongest colour stands for no more than this: twice the filter's 0.1 nats for KL, so that cells near the filter differ. */
  readonly mostReach?: number;
};

const MEASURES: readonly Measure[] = [
  {
    label: 'bypass score (nats)',
    value: ({ bypassScore }) => bypassScore ?? Number.NaN,
    above: 'refuse',
    below: 'comply',
  },
  {
    label: 'induce score (nats)',
    value: ({ induceScore }) => induceScore ?? Number.NaN,
    above: 'refuse',
    below: 'comply',
  },
  { label: 'KL (nats)', value: ({ kl }) => kl ?? Number.NaN, above: 'ink', below: 'ink', mostReach: 0.2 },
];

const distinct = (values: readonly number[]): number[] => [...new Set(values)].sort((first, second) => first - second);

function heatMaps(directions: Directions): Markup[] {
  const layers = distinct(directions.tried.map(({ layer }) => layer));
  const positions = distinct(directions.tried.map(({ position }) => position));
  return MEASURES.map((measure) => heatMap(heatSpec(directions, measure, layers, positions)));
}

function heatSpec(directions: Directions, measure: Measure, layers: number[], positions: number[]): HeatMapSpec {
  const columnOf = new Map(layers.map((layer, index) => [layer, index]));
  const rowOf = new Map(positions.map((position, index) => [position, index]));
  const values = directions.tried.map(measure.value);
  const chosen = directions.selected === null ? undefined : directions.tried[directions.selected];
  return {
    title: `${measure.label} by layer and position`,
    description: chosen
      ? `Selected: layer ${chosen.layer}, position ${chosen.position}, ${numberText(measure.value(chosen), 3)}. All values are in the table below.`
      : 'None selected. All values are in the table below.',
    columns: layers.map(String),
    rows: positions.map(positionText),
    xLabel: 'layer (output of the block)',
    yLabel: 'position',
    valueLabel: measure.label,
    reach: Math.min(reachOf(values), measure.mostReach ?? Number.POSITIVE_INFINITY),
    above: measure.above,
    below: measure.below,
    cells: directions.tried.map((direction, index) => ({
      column: columnOf.get(direction.layer)!,
      row: rowOf.get(direction.position)!,
      value: values[index] ?? Number.NaN,
      tip: `layer ${direction.layer}, position ${positionText(direction.position)}: ${measure.label} ${numberText(values[index], 3)}${direction.rejected.length > 0 ? `; rejected: ${reasonText(direction)}` : ''}${direction === chosen ? '; selected' : ''}`,
      rejected: direction.rejected.length > 0,
      selected: direction === chosen,
    })),
  };
}

const directionTable = ({ tried, selected }: Directions): Markup =>
  dataTable({
    caption: 'Directions tried, with why they were rejected',
    rows: tried,
    columns: [
      { title: 'layer', cell: (row) => String(row.layer), value: (row) => row.layer },
      { title: 'position', cell: (row) => positionText(row.position), value: (row) => row.position },
      { title: 'bypass', cell: (row) => numberText(row.bypassScore, 3), value: (row) => row.bypassScore },
      { title: 'induce', cell: (row) => numberText(row.induceScore, 3), value: (row) => row.induceScore },
      { title: 'KL', cell: (row) => numberText(row.kl, 4), value: (row) => row.kl },
      { title: 'length', cell: (row) => numberText(row.rawNorm), value: (row) => row.rawNorm },
      { title: 'verdict', cell: (row) => (row === tried[selected ?? -1] ? 'selected' : reasonText(row) || 'allowed') },
    ],
  });
