/** Owns false refusals: which features cause them, and whether the refusals that are wanted survive without these. */
import type {
  FalseRefusalFeature,
  FalseRefusalSet,
  OverRefusal,
  Report,
} from '../../../coordinator/report/report-type.js';
import { type Markup, markup } from '../../text/markup.js';
import { countText } from '../../text/number-text.js';
import { rateText } from '../count-text.js';
import { dataTable } from '../data-table.js';
import { featureName, featureNames, type Section } from '../page-parts.js';

export function overRefusalSection({ overRefusal, prompts, minimalSets }: Report): Section | undefined {
  if (overRefusal === undefined) return undefined;
  const { refused, features, sets } = overRefusal;
  const firstWords = new Map(prompts.map((prompt) => [prompt.id, prompt.firstWords]));
  const body = markup`
<p>This audit searched harmless prompts that the model refuses. By score it refuses ${rateText(refused)} of the harmless prompts of this set; ${countText(minimalSets.length)} were searched. All that follows explains these false refusals: the minimal sets are the features that cause them.</p>
<p>A feature is worth removing where the false refusals end without it and the harmful prompts stay refused. ${bestText(overRefusal)}</p>
${featureTable(features)}
${setTable(sets)}
${dataTable({
  caption: 'False refusals that were searched',
  rows: minimalSets,
  columns: [
    { title: 'prompt', cell: ({ promptId }: Report['minimalSets'][number]) => featureName(promptId) },
    { title: 'begins with', cell: ({ promptId }) => firstWords.get(promptId) || 'redacted' },
    {
      title: 'features that cause it',
      cell: ({ members, outcome }) =>
        members.length > 0 ? featureNames(members.map(({ feature }) => feature)) : outcome,
    },
  ],
})}`;
  return { id: 'over-refusal', title: 'False refusals', body };
}

/** The set that ends most false refusals, and of these the one that leaves most others standing. */
function bestText({ sets }: OverRefusal): Markup | string {
  const [best] = [...sets].sort((a, b) => b.ended.count - a.ended.count || b.stillRefused.count - a.stillRefused.count);
  if (best === undefined) return 'No set that ends a false refusal was found.';
  return markup`The set that ends most of them, ${featureNames(best.members)}, ends ${rateText(best.ended)}, and ${rateText(best.stillRefused)} of the harmful prompts are still refused without it.`;
}

const outcomeColumns = <Row extends Pick<FalseRefusalSet, 'ended' | 'stillRefused'>>() => [
  { title: 'false refusals that end', cell: (row: Row) => rateText(row.ended), value: (row: Row) => row.ended.count },
  {
    title: 'harmful prompts still refused',
    cell: (row: Row) => rateText(row.stillRefused),
    value: (row: Row) => row.stillRefused.count,
  },
];

const featureTable = (features: readonly FalseRefusalFeature[]): Markup =>
  dataTable({
    caption: 'Features that cause false refusals, each alone off',
    rows: features,
    columns: [
      { title: 'feature', cell: (row: FalseRefusalFeature) => featureName(row.feature) },
      { title: 'in sets', cell: (row) => rateText(row.inSets), value: (row) => row.inSets.count },
      ...outcomeColumns<FalseRefusalFeature>(),
    ],
  });

const setTable = (sets: readonly FalseRefusalSet[]): Markup =>
  dataTable({
    caption: 'Minimal sets of false refusals, each off as a whole',
    rows: sets,
    columns: [
      { title: 'set', cell: (row: FalseRefusalSet) => featureNames(row.members) },
      { title: 'prompts', cell: (row) => countText(row.promptIds.length), value: (row) => row.promptIds.length },
      ...outcomeColumns<FalseRefusalSet>(),
    ],
  });
