/** Owns what a suppression costs: whether a set ends refusal and leaves harmless text alone, or breaks the model and refusal with it. */
import type { CostFacts, Costs, Report } from '../../../coordinator/report/report-type.js';
import { type Markup, markup } from '../../text/markup.js';
import { changeText, countText, numberText, pluralText } from '../../text/number-text.js';
import { stripChart } from '../charts/strip-chart.js';
import { rateText } from '../count-text.js';
import { dataTable } from '../data-table.js';
import { featureName, featureNames, figure, type Section } from '../page-parts.js';

export function costSection({ costs }: Report): Section | undefined {
  if (costs === undefined) return undefined;
  const { examined, distinctSets, rows } = costs;
  const nothing = markup`<p class="nothing">Not measured: ${countText(distinctSets.of)} minimal sets, ${countText(examined.of)} harmless prompts that the model answers.</p>`;
  return { id: 'cost', title: 'What suppression costs', body: rows.length === 0 ? nothing : measured(costs) };
}

const measured = (costs: Costs): Markup => markup`
<p>A model that is broken refuses nothing either. So each minimal set is switched off on harmless prompts too. <strong>${rateText(costs.belowBound)}</strong> of the sets leave the first word of the answers nearly as it is: a mean KL of at most ${numberText(costs.klBound)} nats, the bound that Arditi et al. set for a direction. A larger KL is not yet a broken model: cross-entropy says how well it still writes its own clean answers.</p>
<p class="muted">Measured on ${rateText(costs.examined)} of the harmless prompts that the model answers, ${countText(costs.answerTokens)} answer tokens, for ${rateText(costs.distinctSets)} of the distinct sets. Clean answers: ${numberText(costs.cleanCrossEntropy, 3)} nats a token. As a scale: all members of these sets together, and all candidates of the first step.</p>
${figure(klChart(costs), markup`Mean KL of the first answer token. The dotted line is the bound of ${numberText(costs.klBound)} nats.`, 'KL on harmless prompts')}
${costTable(costs)}`;

const GROUPS = [
  { off: 'minimal set', name: 'a minimal set off', tone: 'comply', shape: 'circle' },
  { off: 'all sets', name: 'members of all sets off', tone: 'ink', shape: 'square' },
  { off: 'all candidates', name: 'all candidates off', tone: 'third', shape: 'diamond' },
] as const;

const klChart = ({ rows, klBound }: Costs): Markup =>
  stripChart({
    title: 'KL on harmless prompts',
    description: rows.map((row) => `${row.off} of ${row.members.length}: ${numberText(row.meanKl, 3)}`).join('; '),
    width: 560,
    xLabel: 'mean KL of the first answer token (nats)',
    reference: klBound,
    groups: GROUPS.map(({ off, name, tone, shape }) => ({
      name,
      dots: rows
        .filter((row) => row.off === off)
        .map((row) => ({
          value: row.meanKl,
          tone,
          shape,
          tip: `${pluralText(row.members.length, 'feature')} off: mean KL ${numberText(row.meanKl, 3)}`,
        })),
    })),
  });

const costTable = ({ rows, cleanCrossEntropy }: Costs): Markup =>
  dataTable({
    caption: 'Cost of each suppression on harmless prompts',
    rows,
    columns: [
      { title: 'switched off', cell: (row: CostFacts) => offText(row) },
      { title: 'set of', cell: ({ promptIds }) => promptsText(promptIds) },
      { title: 'mean KL', cell: (row) => numberText(row.meanKl, 3), value: (row) => row.meanKl },
      { title: 'largest KL', cell: (row) => numberText(row.largestKl, 3), value: (row) => row.largestKl },
      {
        title: 'cross-entropy, change',
        cell: (row) => changeText(row.crossEntropy - (cleanCrossEntropy ?? Number.NaN), 3),
        value: (row) => row.crossEntropy,
      },
      { title: 'harmless refused', cell: (row) => rateText(row.refused), value: (row) => row.refused.count },
      { title: 'changed anything', cell: (row) => rateText(row.acted), value: (row) => row.acted.count },
    ],
  });

const offText = ({ off, members }: CostFacts): Markup | string =>
  off === 'minimal set' ? featureNames(members) : `${off} (${pluralText(members.length, 'feature')})`;

const promptsText = (ids: readonly string[]): Markup | string => {
  const [first] = ids;
  if (first === undefined) return 'for scale';
  return ids.length === 1 ? featureName(first) : pluralText(ids.length, 'prompt');
};
