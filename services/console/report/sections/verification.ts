/** Owns the check by text: what the answers under each set say, and how far the score agrees with that. */
import type { Report, Verification } from '../../../coordinator/report/report-type.js';
import { type Markup, markup } from '../../text/markup.js';
import { countText } from '../../text/number-text.js';
import { type ShareBar, shareBars } from '../charts/bar-chart.js';
import { rateText } from '../count-text.js';
import { dataTable } from '../data-table.js';
import { featureName, figure, type Section } from '../page-parts.js';

type Flip = Verification['flips'][number];

export function verificationSection({ verification, settings }: Report): Section {
  const body = markup`
<p>Each flip was checked by a greedy answer of at most ${countText(settings.maxNewTokens)} tokens under its set, read by a phrase list. The score’s sign agrees with the text in ${rateText(verification.agreement)} of the cases; degenerate answers and failed judgements are in neither number.</p>
${figure(barsOf(verification), 'Judged answers under each prompt’s minimal set, with 95 % intervals.', 'Verdicts by text')}
<details><summary>All ${countText(verification.flips.length)} answers as a table</summary>${flipTable(verification.flips)}</details>`;
  return { id: 'verification', title: 'Verification by text', body };
}

function barsOf(verification: Verification): Markup {
  const bar = (label: string, count: number, tone: string): ShareBar => ({
    label,
    count,
    total: verification.total,
    tone,
  });
  const bars = [
    bar('complied', verification.complied, 'comply'),
    bar('partial', verification.partial, 'comply'),
    bar('refused', verification.refused, 'refuse'),
    bar('degenerate', verification.degenerate, 'third'),
    bar('judge failed', verification.judgeFailed, 'third'),
  ];
  return shareBars({
    title: 'Verdicts by text',
    description: bars.map(({ label, count, total }) => `${label} ${count} of ${total}`).join('; '),
    width: 344,
    xLabel: 'share of the answers',
    bars: verification.total > 0 ? bars : [],
  });
}

const flipTable = (flips: readonly Flip[]): Markup =>
  dataTable({
    caption: 'Answers under the sets',
    rows: flips,
    columns: [
      { title: 'prompt', cell: ({ promptId }: Flip) => featureName(promptId) },
      { title: 'verdict', cell: ({ verdict }) => verdict },
      { title: 'first words', cell: ({ firstWords }) => (firstWords ? markup`<q>${firstWords}</q>` : 'redacted') },
      { title: 'rule', cell: ({ rule }) => rule },
      {
        title: 'tokens',
        cell: ({ answerTokens }) => countText(answerTokens),
        value: ({ answerTokens }) => answerTokens,
      },
      {
        title: 'answer sha256',
        cell: ({ answerSha256 }) =>
          markup`<span class="id" title="${answerSha256}">${answerSha256.slice(0, 12)}</span>`,
      },
    ],
  });
