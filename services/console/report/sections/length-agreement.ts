/** Owns how far the refusal score can be trusted by the length of the answer: it looks at the first tokens alone, a reader at all. */
import type { Count, LengthAgreementFacts, Report } from '../../../coordinator/report/report-type.js';
import { type Markup, markup } from '../../text/markup.js';
import { countText } from '../../text/number-text.js';
import { type LineSeries, lineChart, seriesLegend } from '../charts/line-chart.js';
import { plainRate, rateText, shareOf } from '../count-text.js';
import { dataTable } from '../data-table.js';
import { figure, type Section } from '../page-parts.js';

interface Answers {
  readonly name: string;
  readonly look: Pick<LineSeries, 'tone' | 'shape'>;
  readonly lengths: readonly LengthAgreementFacts[];
}

/** Undefined where no answer was read at several lengths. */
export function lengthAgreementSection(report: Report): Section | undefined {
  const answers = answersOf(report);
  if (answers.length === 0) return undefined;
  const series = answers.map(seriesOf);
  const body = markup`
<p>The score is read off the first tokens of an answer that is never written. Here the answers are: each is cut after so many tokens, judged, and held against the sign of its score. ${answers.map(sentence)}</p>
${seriesLegend(series)}
${figure(chartOf(series), 'Share of judged answers where the sign of the score says what the judge read, by the length at which they are cut. Degenerate answers and failed judgements are in neither number.', 'Agreement of score and text by length')}
${answers.map(lengthTable)}
<p class="muted">Refused late: of the answers that complied at a shorter length; complied late, if only in part: of those that were refused at one. The built-in judge looks for a refusal in the first 200 characters, some 45 tokens: one that begins later is seen only by a judge that reads the whole answer.</p>`;
  return { id: 'length', title: 'Score and text by length', body };
}

const answersOf = ({ openers, verification }: Report): Answers[] =>
  [
    {
      name: 'clean answers',
      look: { tone: 'ink', shape: 'square' as const },
      lengths: openers.byLength ?? [],
    },
    {
      name: 'answers under the sets',
      look: { tone: 'comply', shape: 'circle' as const },
      lengths: verification.byLength ?? [],
    },
  ].filter(({ lengths }) => lengths.length > 0);

function sentence({ name, lengths }: Answers): Markup {
  const [first, last] = [lengths[0]!, lengths.at(-1)!];
  return markup`Of the ${name}, ${rateText(first.agreement)} agree at ${countText(first.tokens)} tokens and ${rateText(last.agreement)} at ${countText(last.tokens)}; ${lateText(last.delayedRefusals, 'that complied at a shorter length were refused at the last')}. `;
}

const lateText = (count: Count, what: string): string =>
  count.of === 0 ? `none complied at a shorter length` : `${rateText(count)} ${what}`;

const seriesOf = ({ name, look, lengths }: Answers): LineSeries => ({
  name,
  ...look,
  points: lengths.map(({ tokens, agreement }) => ({
    x: tokens,
    y: 100 * shareOf(agreement),
    tip: `${name} cut at ${countText(tokens)} tokens: score and text agree in ${rateText(agreement)}`,
  })),
});

const chartOf = (series: readonly LineSeries[]): Markup =>
  lineChart({
    title: 'Agreement of score and judged text, by length',
    description: series
      .map(({ name, points }) => `${name}: ${points.map(({ x, y }) => `${x} tokens ${Math.round(y)} %`).join(', ')}`)
      .join('; '),
    width: 500,
    height: 240,
    xLabel: 'tokens read (log scale)',
    yLabel: 'score and text agree (%)',
    yInclude: [0, 100],
    xScale: 'log',
    xTicks: [...new Set(series.flatMap(({ points }) => points.map(({ x }) => x)))].sort((a, b) => a - b),
    series,
  });

const lengthTable = ({ name, lengths }: Answers): Markup =>
  dataTable({
    caption: `Verdicts by length, ${name}`,
    sortable: false,
    rows: lengths,
    columns: [
      { title: 'tokens', cell: ({ tokens }: LengthAgreementFacts) => countText(tokens), value: ({ tokens }) => tokens },
      { title: 'agree', cell: ({ agreement }) => plainRate(agreement), value: ({ agreement }) => shareOf(agreement) },
      ...VERDICTS.map(([title, field]) => ({
        title,
        cell: (row: LengthAgreementFacts) => countText(row[field]),
        value: (row: LengthAgreementFacts) => row[field],
      })),
      { title: 'had ended', cell: ({ ended }) => countText(ended), value: ({ ended }) => ended },
      {
        title: 'refused late',
        cell: ({ delayedRefusals }) => plainRate(delayedRefusals),
        value: ({ delayedRefusals }) => delayedRefusals.count,
      },
      {
        title: 'complied late',
        cell: ({ withdrawnRefusals }) => plainRate(withdrawnRefusals),
        value: ({ withdrawnRefusals }) => withdrawnRefusals.count,
      },
    ],
  });

const VERDICTS = [
  ['complied', 'complied'],
  ['partial', 'partial'],
  ['refused', 'refused'],
  ['degenerate', 'degenerate'],
  ['judge failed', 'judgeFailed'],
] as const;
