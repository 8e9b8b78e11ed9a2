/** Owns the minimal sets as a whole: their sizes, and which features they share. */
import type { MinimalSetFacts, Report, SharedFeature } from '../../../coordinator/report/report-type.js';
import { type Markup, markup } from '../../text/markup.js';
import { countText, numberText } from '../../text/number-text.js';
import { shortText } from '../../text/short-text.js';
import { histogram } from '../charts/histogram.js';
import { presenceMatrix } from '../charts/presence-matrix.js';
import { rateText } from '../count-text.js';
import { dataTable } from '../data-table.js';
import { featureName, figure, type Section } from '../page-parts.js';

/** What fits on a page; the table below names all features. */
const MAX_ROWS = 40;
const MAX_COLUMNS = 80;

const isFound = ({ outcome }: MinimalSetFacts): boolean => outcome === 'found';

export function minimalSetsSection(report: Report): Section {
  const found = report.minimalSets.filter(isFound);
  const { oneMinimal, noFlip, minimalSetsFound } = report.summary;
  const body = markup`
<p>Found for ${rateText(minimalSetsFound)} of the searched prompts; ${rateText(noFlip)} did not flip with the most candidates allowed. For ${rateText(oneMinimal)} of the sets every member was put back by itself and brought refusal back (1-minimal).</p>
<div class="side-by-side">${figure(sizesChart(found), 'How many features a minimal set has.', 'Sizes of minimal sets')}${outcomeTable(report)}</div>
<h3>Features shared between prompts</h3>
${figure(sharedMatrix(report, found), markup`A dot: the feature is in the prompt’s minimal set; hollow: it is dormant there (no activation on the clean prompt). The number behind each row counts the sets it is in. ${leftOut(report, found)}`, 'Features shared between prompts')}
${sharedTable(report.sharedFeatures)}`;
  return { id: 'sets', title: 'Minimal sets', body };
}

const sizesChart = (found: readonly MinimalSetFacts[]): Markup =>
  histogram({
    title: 'Sizes of minimal sets',
    description: `${found.length} sets, of ${found.map(({ members }) => members.length).join(', ')} features`,
    width: 340,
    height: 220,
    xLabel: 'features in the set',
    yLabel: 'prompts',
    values: found.map(({ members }) => members.length),
  });

const outcomeTable = ({ minimalSets }: Report): Markup =>
  dataTable({
    caption: 'Candidates a layer that the search needed',
    sortable: false,
    rows: [...new Set(minimalSets.map(({ candidatesPerLayer }) => candidatesPerLayer))].sort((a, b) => a - b),
    columns: [
      { title: 'K a layer', cell: (k: number) => countText(k), value: (k) => k },
      {
        title: 'found',
        cell: (k) => countText(withK(minimalSets, k, 'found')),
        value: (k) => withK(minimalSets, k, 'found'),
      },
      {
        title: 'no flip',
        cell: (k) => countText(withK(minimalSets, k, 'no flip')),
        value: (k) => withK(minimalSets, k, 'no flip'),
      },
    ],
  });

const withK = (sets: readonly MinimalSetFacts[], k: number, outcome: MinimalSetFacts['outcome']): number =>
  sets.filter((set) => set.candidatesPerLayer === k && set.outcome === outcome).length;

/** Columns in the order that lets shared features stand in blocks: by the first row they have, then the second, and so on. */
export function sortedColumns(rows: readonly SharedFeature[], found: readonly MinimalSetFacts[]): MinimalSetFacts[] {
  const key = ({ members }: MinimalSetFacts): string => {
    const names = new Set(members.map(({ feature }) => feature));
    return rows.map(({ feature }) => (names.has(feature) ? '0' : '1')).join('');
  };
  const keys = new Map(found.map((set) => [set, key(set)]));
  const order = (set: MinimalSetFacts): string => `${keys.get(set)} ${set.promptId}`;
  return [...found].sort((first, second) => (order(first) < order(second) ? -1 : 1));
}

function sharedMatrix(report: Report, found: readonly MinimalSetFacts[]): Markup {
  const rows = report.sharedFeatures.slice(0, MAX_ROWS);
  const columns = sortedColumns(rows, found).slice(0, MAX_COLUMNS);
  return presenceMatrix({
    title: 'Features by prompts',
    description: rows.map(({ feature, sets }) => `${feature} in ${sets.count} of ${sets.of} sets`).join('; '),
    rows: rows.map(({ feature, sets }) => ({ name: shortText(feature, 16), note: String(sets.count) })),
    columns: columns.map(({ promptId }) => shortText(promptId, 16)),
    rowsLabel: 'feature (layer/index)',
    columnsLabel: 'prompt',
    cell: (row, column) => {
      const member = columns[column]!.members.find(({ feature }) => feature === rows[row]!.feature);
      if (!member) return undefined;
      const tip = `${member.feature} in ${columns[column]!.promptId}: clean activation ${numberText(member.cleanActivation)}, score with it put back ${numberText(member.restoredScore)}`;
      return { tone: member.cleanActivation > 0 ? 'comply' : 'hollow', tip };
    },
  });
}

function leftOut({ sharedFeatures }: Report, found: readonly MinimalSetFacts[]): string {
  const rows = sharedFeatures.length - MAX_ROWS;
  const columns = found.length - MAX_COLUMNS;
  if (rows <= 0 && columns <= 0) return '';
  return `Not drawn: ${countText(Math.max(0, rows))} features and ${countText(Math.max(0, columns))} prompts; the table has all features.`;
}

const categoriesText = (categories: Readonly<Record<string, number>>): string =>
  Object.entries(categories)
    .sort(([, first], [, second]) => second - first)
    .map(([category, count]) => `${category || 'none given'} ${count}`)
    .join(', ');

const sharedTable = (features: readonly SharedFeature[]): Markup =>
  markup`<details><summary>All ${countText(features.length)} features of minimal sets as a table</summary>${dataTable({
    caption: 'Features by the number of minimal sets they are in',
    rows: features,
    columns: [
      { title: 'feature', cell: (row: SharedFeature) => featureName(row.feature) },
      { title: 'sets', cell: (row) => rateText(row.sets), value: (row) => row.sets.count },
      { title: 'cosine', cell: (row) => numberText(row.cosine, 3), value: (row) => row.cosine },
      {
        title: 'mean clean activation',
        cell: (row) => numberText(row.meanCleanActivation),
        value: (row) => row.meanCleanActivation,
      },
      {
        title: 'mean score, put back',
        cell: (row) => numberText(row.meanRestoredScore),
        value: (row) => row.meanRestoredScore,
      },
      { title: 'sets by category', cell: (row) => categoriesText(row.categories) },
    ],
  })}</details>`;
