/**
 * Owns all the ways to break a refusal: what every way needs, and how many separate defences each have to fall. Prevents: a single minimal
 * set that is read as the only one, and a lower bound that is read as the number itself.
 */
import type { Families, FamilyFacts, Report, Spread } from '../../../coordinator/report/report-type.js';
import { type Markup, markup } from '../../text/markup.js';
import { countText, numberText, pluralText } from '../../text/number-text.js';
import { shortText } from '../../text/short-text.js';
import { presenceMatrix } from '../charts/presence-matrix.js';
import { rateText } from '../count-text.js';
import { dataTable } from '../data-table.js';
import { featureName, featureNames, figure, type Section } from '../page-parts.js';

/** What fits on a page; the JSON has all. */
const MAX_ROWS = 40;
const MAX_COLUMNS = 80;
const MAX_LISTED = 40;

export function familySection({ families, settings }: Report): Section | undefined {
  if (families === undefined) return undefined;
  const { examined, complete, depthOfDefence, disjointSets } = families;
  const claims = settings.claims;
  const body = markup`
<p>A minimal set is one way to break a refusal; there can be others. Here all of them are looked for, among the candidates at which the prompt flipped${claims && markup`, with at most ${countText(claims.familyEvaluations)} evaluations and ${countText(claims.familySets)} sets a prompt`}. Looked at: ${rateText(examined)} of the prompts with a set. Complete (no further set exists among the candidates): ${rateText(complete)}. Where a family is not complete, its counts are lower bounds, and a set that was not found may lack a feature that is called necessary.${violationText(families)}</p>
<p><strong>Depth of defence</strong>: how many separate groups of features each keep up the refusal when everything else near the direction is off, so that each has to fall: ${spreadText(depthOfDefence)}. <strong>Disjoint sets</strong>: how many ways to break the refusal share no feature: ${spreadText(disjointSets)}. <strong>Necessary</strong>: features that every way needs.</p>
${figure(familyMatrix(families), 'A filled dot: every minimal set that was found for the prompt holds the feature (necessary). Hollow: some do. The number behind a row counts the prompts in which it is necessary.', 'Features in the families of minimal sets')}
${familyTable(families.prompts)}
<details><summary>The minimal sets themselves</summary>${families.prompts.map(setList)}</details>`;
  return { id: 'families', title: 'All minimal sets', body };
}

/** Enumeration rests on more suppression never bringing refusal back; where that fails, sets may be missing. */
const violationText = ({ prompts }: Families): Markup | string => {
  const violated = prompts.filter(({ violations }) => violations > 0).length;
  return violated === 0
    ? ''
    : markup` In ${countText(violated)} of ${countText(prompts.length)} prompts more suppression brought refusal back somewhere: sets may be missing there.`;
};

/** "2 to 4 (median 3)". */
export const spreadText = (spread: Spread | null): string => {
  if (spread === null) return 'not measured';
  if (spread.min === spread.max) return `${countText(spread.min)} in every prompt`;
  const middle = numberText(spread.median, Number.isInteger(spread.median) ? 0 : 1);
  return `${countText(spread.min)} to ${countText(spread.max)} (median ${middle})`;
};

function familyMatrix({ prompts, necessary }: Families): Markup {
  const found = prompts.filter(({ outcome }) => outcome === 'found').slice(0, MAX_COLUMNS);
  const needed = new Map(necessary.map(({ feature, prompts: { count } }) => [feature, count]));
  const uses = new Map<string, number>();
  for (const { feature } of found.flatMap(({ members }) => members)) uses.set(feature, (uses.get(feature) ?? 0) + 1);
  const rows = [...uses]
    .sort(
      ([a, first], [b, second]) => (needed.get(b) ?? 0) - (needed.get(a) ?? 0) || second - first || (a < b ? -1 : 1),
    )
    .slice(0, MAX_ROWS)
    .map(([feature]) => feature);
  return presenceMatrix({
    title: 'Features in the families of minimal sets',
    description: rows
      .map((feature) => `${feature} necessary in ${needed.get(feature) ?? 0} of ${found.length}`)
      .join('; '),
    rows: rows.map((feature) => ({ name: shortText(feature, 16), note: String(needed.get(feature) ?? 0) })),
    columns: found.map(({ promptId }) => shortText(promptId, 16)),
    rowsLabel: 'feature (layer/index)',
    columnsLabel: 'prompt',
    cell: (row, column) => {
      const { members, sets, promptId, necessary: all } = found[column]!;
      const member = members.find(({ feature }) => feature === rows[row]);
      if (member === undefined) return undefined;
      const tip = `${member.feature} in ${member.inSets} of ${sets.length} sets of ${promptId}`;
      return { tone: all.includes(member.feature) ? 'comply' : 'hollow', tip };
    },
  });
}

/** "at least 3" where the family is cut short. */
const boundText = (value: number, complete: boolean): string => `${complete ? '' : 'at least '}${countText(value)}`;

const familyTable = (families: readonly FamilyFacts[]): Markup =>
  dataTable({
    caption: 'Families of minimal sets, a prompt a row',
    rows: families,
    columns: [
      { title: 'prompt', cell: ({ promptId }: FamilyFacts) => featureName(promptId) },
      { title: 'candidates', cell: (row) => countText(row.candidates), value: (row) => row.candidates },
      {
        title: 'minimal sets',
        cell: (row) => boundText(row.sets.length, row.complete),
        value: (row) => row.sets.length,
      },
      {
        title: 'depth of defence',
        cell: (row) => boundText(row.depthOfDefence, row.complete),
        value: (row) => row.depthOfDefence,
      },
      {
        title: 'disjoint sets',
        cell: (row) => boundText(row.disjointSets, row.complete),
        value: (row) => row.disjointSets,
      },
      {
        title: 'necessary',
        cell: ({ necessary }) => (necessary.length > 0 ? featureNames(necessary) : 'none'),
      },
      { title: 'evaluations', cell: (row) => countText(row.evaluations), value: (row) => row.evaluations },
    ],
  });

const setList = ({ promptId, sets }: FamilyFacts): Markup =>
  markup`<h4 class="id">${promptId}</h4><p>${pluralText(sets.length, 'set')}${sets.length > MAX_LISTED && markup`, the first ${countText(MAX_LISTED)} of them`}: ${sets.slice(0, MAX_LISTED).map(({ members, score }, index) => markup`${index > 0 && '; '}{${featureNames(members)}} at ${numberText(score)}`)}</p>`;
