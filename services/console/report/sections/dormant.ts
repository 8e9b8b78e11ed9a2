/** Owns dormant features: silent on the clean prompt, yet needed in the set, or awake once the set is off. */
import type { DormantFacts, Report } from '../../../coordinator/report/report-type.js';
import { type Markup, markup } from '../../text/markup.js';
import { changeText, countText, numberText } from '../../text/number-text.js';
import { rateText } from '../count-text.js';
import { dataTable } from '../data-table.js';
import { featureName, featureNames, type Section } from '../page-parts.js';

type WokenRow = DormantFacts['woken'][number] & { readonly promptId: string };

/** Enough to read; the JSON has all. */
const MAX_ROWS = 200;

export function dormantSection({ dormant, summary }: Report): Section {
  const woken = dormant
    .flatMap(({ promptId, woken }) => woken.map((feature) => ({ promptId, ...feature })))
    .sort((first, second) => Math.abs(second.conditionalEffect) - Math.abs(first.conditionalEffect));
  const body = markup`
<p>${rateText(summary.setsWithDormantMembers)} of the minimal sets need a feature that is silent on the clean prompt. Once a set is off, ${countText(woken.length)} tested features woke that had been silent: the “hydra” effect, if switching them off as well changes the score again.</p>
${memberTable(dormant)}
${dataTable({
  caption: `Woken features by the size of their conditional effect${woken.length > MAX_ROWS ? `: the first ${MAX_ROWS} of ${countText(woken.length)}` : ''}`,
  rows: woken.slice(0, MAX_ROWS),
  columns: [
    { title: 'feature', cell: (row: WokenRow) => featureName(row.feature) },
    { title: 'prompt', cell: (row) => featureName(row.promptId) },
    {
      title: 'activation once the set is off',
      cell: (row) => numberText(row.activation),
      value: (row) => row.activation,
    },
    { title: 'position', cell: (row) => String(row.position), value: (row) => row.position },
    { title: 'kind', cell: (row) => row.positionKind },
    { title: 'score, set off', cell: (row) => numberText(row.setScore), value: (row) => row.setScore },
    {
      title: 'score, set and it off',
      cell: (row) => numberText(row.setAndFeatureScore),
      value: (row) => row.setAndFeatureScore,
    },
    {
      title: 'effect in the intact model',
      cell: (row) => changeText(row.intactEffect),
      value: (row) => row.intactEffect,
    },
    {
      title: 'conditional effect',
      cell: (row) => changeText(row.conditionalEffect),
      value: (row) => row.conditionalEffect,
    },
  ],
})}
<p class="muted">Conditional effect: effect once the set is off minus effect in the intact model, in nats. Below 0, the feature holds up refusal only when the set is gone.</p>`;
  return { id: 'dormant', title: 'Dormant features', body };
}

const memberTable = (dormant: readonly DormantFacts[]): Markup =>
  dataTable({
    caption: 'Prompts by dormant members and woken features',
    rows: dormant.filter(({ dormantMembers, tested }) => dormantMembers.length > 0 || tested.of > 0),
    columns: [
      { title: 'prompt', cell: (row: DormantFacts) => featureName(row.promptId) },
      {
        title: 'dormant members of the set',
        cell: ({ dormantMembers }) => (dormantMembers.length > 0 ? featureNames(dormantMembers) : 'none'),
      },
      { title: 'woke', cell: ({ tested }) => countText(tested.of), value: ({ tested }) => tested.of },
      { title: 'of these tested', cell: ({ tested }) => rateText(tested), value: ({ tested }) => tested.count },
    ],
  });
