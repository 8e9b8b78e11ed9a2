/** Owns the other half of a causal claim: whether a minimal set alone refuses, and whether it makes a harmless prompt refused. */
import type { Count, Report, Sufficiency, SufficiencyFacts } from '../../../coordinator/report/report-type.js';
import { type Markup, markup } from '../../text/markup.js';
import { countText, numberText } from '../../text/number-text.js';
import { shareBars } from '../charts/bar-chart.js';
import { rateText } from '../count-text.js';
import { dataTable } from '../data-table.js';
import { featureName, featureNames, figure, type Section } from '../page-parts.js';

export function sufficiencySection({ sufficiency, settings }: Report): Section | undefined {
  if (sufficiency === undefined) return undefined;
  const { examined, sets, random } = sufficiency;
  const draws = settings.claims?.sufficiencyDraws;
  const body = markup`
<p>A set whose loss ends a refusal is <em>needed</em>; whether it is <em>enough</em> is another question. Everything near the direction is switched off, the set too. Then the set alone is left on as it comes: ${rateText(sets.leftOn)} of the prompts are refused again (random sets: ${rateText(random.leftOn)}). Or it is written back at the activations of the clean prompt: ${rateText(sets.putBack)} (${rateText(random.putBack)}). Last, it is written into harmless prompts that the model answers: ${rateText(sets.harmlessRefused)} are refused then (${rateText(random.harmlessRefused)}; each set on each prompt counts). Only what sets do and random sets do not is theirs.</p>
<p class="muted">Tried for ${rateText(examined)} of the prompts with a set${draws !== undefined && markup`; beside each set ${countText(draws)} random sets of its size, drawn from candidates that are on in the prompt`}. Few or none is a finding too: refusal then needs more than the set, and the set is where it is cut, not where it is made.</p>
${figure(barsOf(sufficiency), 'Share that is refused, with 95 % intervals: minimal sets in blue, random sets of the same size in grey.', 'Sufficiency of the sets')}
<details><summary>All ${countText(sufficiency.prompts.length)} prompts as a table</summary>${promptTable(sufficiency.prompts)}</details>`;
  return { id: 'sufficiency', title: 'Is the set enough?', body };
}

function barsOf({ sets, random }: Sufficiency): Markup {
  const pair = (name: string, own: Count, drawn: Count) => [
    { label: `${name}: the set`, tone: 'comply', count: own.count, total: own.of },
    { label: `${name}: random sets`, tone: 'third', count: drawn.count, total: drawn.of },
  ];
  const bars = [
    ...pair('left on', sets.leftOn, random.leftOn),
    ...pair('put back', sets.putBack, random.putBack),
    ...pair('written into harmless prompts', sets.harmlessRefused, random.harmlessRefused),
  ].filter(({ total }) => total > 0);
  return shareBars({
    title: 'Sufficiency of the sets',
    description: bars.map(({ label, count, total }) => `${label} ${count} of ${total}`).join('; '),
    width: 460,
    xLabel: 'share that is refused',
    bars,
  });
}

const promptTable = (prompts: readonly SufficiencyFacts[]): Markup =>
  dataTable({
    caption: 'Refusal scores with everything near the direction off',
    rows: prompts,
    columns: [
      { title: 'prompt', cell: ({ promptId }: SufficiencyFacts) => featureName(promptId) },
      { title: 'clean', cell: (row) => numberText(row.cleanScore), value: (row) => row.cleanScore },
      { title: 'all off', cell: (row) => numberText(row.allOffScore), value: (row) => row.allOffScore },
      { title: 'set left on', cell: ({ set }) => numberText(set.leftOnScore), value: ({ set }) => set.leftOnScore },
      { title: 'set put back', cell: ({ set }) => numberText(set.putBackScore), value: ({ set }) => set.putBackScore },
      {
        title: 'harmless refused',
        cell: ({ set }) => rateText(set.harmlessRefused),
        value: ({ set }) => set.harmlessRefused.count,
      },
      {
        title: 'nothing to put back (dormant)',
        cell: ({ dormantMembers }) => (dormantMembers.length > 0 ? featureNames(dormantMembers) : 'none'),
      },
    ],
  });
