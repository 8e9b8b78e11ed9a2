/** Owns what the model does before any edit: refusals by label and category, the scores behind them, the openers. */
import type { CategoryFacts, PromptFacts, Report } from '../../../coordinator/report/report-type.js';
import { type Markup, markup } from '../../text/markup.js';
import { numberText } from '../../text/number-text.js';
import { type StripDot, stripChart } from '../charts/strip-chart.js';
import { rateText, shareOf } from '../count-text.js';
import { dataTable } from '../data-table.js';
import { featureNames, figure, type Section } from '../page-parts.js';

export function baselineSection(report: Report): Section {
  const { openers } = report;
  const how = openers.calibrated ? 'calibrated from the model’s own refusals' : 'fixed by the caller';
  const body = markup`
<p>Judged by the text of its greedy answers, the model refuses ${rateText(openers.harmfulRefused)} of the harmful and ${rateText(openers.harmlessRefused)} of the harmless prompts. The sign of the refusal score agrees with the judged answer in ${rateText(openers.scoreTextAgreement)} of them.${overRefusalHint(report)}</p>
${figure(scoreStrip(report.prompts), 'Each mark is one prompt without edits. Right of the dotted line the score says refusal. Filled: the judge read a refusal; hollow: it did not; cross: degenerate answer, failed judge or no judgement.', 'Refusal scores by label')}
${dataTable({
  caption: 'Refusals and minimal sets by category',
  rows: report.categories,
  columns: [
    { title: 'category', cell: (row: CategoryFacts) => row.category || 'none given' },
    {
      title: 'harmful refused',
      cell: (row) => rateText(row.harmfulRefused),
      value: (row) => shareOf(row.harmfulRefused),
    },
    {
      title: 'harmless refused',
      cell: (row) => rateText(row.harmlessRefused),
      value: (row) => shareOf(row.harmlessRefused),
    },
    {
      title: 'sets found',
      cell: (row) => rateText(row.minimalSetsFound),
      value: (row) => shareOf(row.minimalSetsFound),
    },
    { title: 'median size', cell: (row) => numberText(row.medianSetSize, 1), value: (row) => row.medianSetSize },
    {
      title: 'confirmed by text',
      cell: (row) => rateText(row.flipsConfirmedByText),
      value: (row) => shareOf(row.flipsConfirmedByText),
    },
    { title: 'features most shared', cell: (row) => featureNames(row.topFeatures) },
  ],
})}
<h3>Openers</h3>
<p>The refusal score sums the probability of these ${openers.texts.length} openers, ${how}:</p>
<p>${openers.texts.map((text, index) => markup`${index > 0 && ' · '}<code title="tokens ${(openers.tokenIds[index] ?? []).join(', ')}">${text}</code>`)}</p>`;
  return { id: 'baselines', title: 'Before any edit', body };
}

/** Where to look further, if there is something to see and this audit did not look there. */
const overRefusalHint = ({ openers, overRefusal }: Report): Markup | string =>
  openers.harmlessRefused.count > 0 && overRefusal === undefined
    ? markup` Which features cause the false refusals: <code>refusalscope audit --over-refusal</code>.`
    : '';

function scoreStrip(prompts: readonly PromptFacts[]): Markup {
  const group = (label: PromptFacts['label']): { name: string; dots: StripDot[] } => {
    const dots = prompts.filter((prompt) => prompt.label === label).flatMap(dotOf);
    return { name: `${label} (n = ${dots.length})`, dots };
  };
  const groups = [group('harmful'), group('harmless')];
  return stripChart({
    title: 'Refusal score of each prompt by label',
    description: groups
      .map(({ name, dots }) => `${name}: ${dots.filter(({ value }) => value > 0).length} above 0`)
      .join('; '),
    width: 600,
    xLabel: 'refusal score of the clean prompt (log-odds, nats)',
    groups,
    reference: 0,
  });
}

function dotOf({ id, baseline }: PromptFacts): StripDot[] {
  if (!baseline) return [];
  const verdict = baseline.judgement?.verdict;
  const tone = baseline.refusalScore > 0 ? 'refuse' : 'comply';
  const shape = verdict === 'refused' ? 'circle' : verdict === 'complied' || verdict === 'partial' ? 'ring' : 'cross';
  const tip = `${id}: score ${numberText(baseline.refusalScore)}, first-token ${numberText(baseline.firstTokenScore)}, p("I") ${numberText(baseline.pI, 3)}, answer ${verdict ?? 'not judged'}`;
  return [{ value: baseline.refusalScore, tone, shape, tip }];
}
