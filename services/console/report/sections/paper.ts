/** Owns the paper's tables with the measured values beside: nothing here is a target, and the page says what is second hand. */
import type { PaperFacts, StageThree } from '../../../coordinator/report/paper-facts.js';
import {
  PUBLISHED_RESULTS,
  PUBLISHED_SOURCE,
  type PublishedName,
} from '../../../coordinator/report/published-results.js';
import type { Count, Report } from '../../../coordinator/report/report-type.js';
import { type Markup, markup } from '../../text/markup.js';
import { countText, NOT_MEASURED, numberText, percentText } from '../../text/number-text.js';
import { rateText } from '../count-text.js';
import { dataTable } from '../data-table.js';
import type { Section } from '../page-parts.js';

/** Undefined for an audit without the paper's settings. */
export function paperSection(report: Report): Section | undefined {
  const { paper } = report;
  if (paper === undefined) return undefined;
  const body = markup`
<p>Measured on this model, on this prompt set, with blocks of ${paper.settings.blockSize}, ${paper.settings.seeds} orders and threshold ${paper.settings.threshold}. The published columns are for LLaMA-3.1-8B-IT and Gemma-2-2B-IT: read them beside your own only if this is one of these models with the same SAEs. ${PUBLISHED_SOURCE}</p>
${comparison(report, paper)}
${sweepTable(paper)}
${paper.stageThree && stageThreeTables(paper.stageThree)}
${!paper.stageThree && markup`<p class="muted">Stage 3 could not be run: the warnings say why.</p>`}
<p class="muted">Not measured here: the agreement of feature labels with prompt categories (published: 13.42 %), which needs labels. The section on categories has this set’s own breakdown.</p>`;
  return { id: 'paper', title: 'Beside the paper', body };
}

interface Row {
  readonly name: string;
  readonly measured: string;
  readonly published: PublishedName;
}

function comparison(report: Report, paper: PaperFacts): Markup {
  const rows = [...searchRows(report, paper), ...stageThreeRows(paper.stageThree)];
  return dataTable({
    caption: 'Published and measured',
    sortable: false,
    rows,
    columns: [
      { title: 'what', cell: ({ name }: Row) => name },
      { title: 'measured', cell: ({ measured }) => measured },
      { title: 'LLaMA-3.1-8B-IT', cell: ({ published }) => PUBLISHED_RESULTS[published].llama },
      { title: 'Gemma-2-2B-IT', cell: ({ published }) => PUBLISHED_RESULTS[published].gemma },
      { title: 'source', cell: ({ published }) => PUBLISHED_RESULTS[published].source },
    ],
  });
}

const searchRows = (
  { settings, candidates, controls, summary }: Report,
  { jailbreaks, features, wakeUps }: PaperFacts,
): Row[] => {
  const woken = wakeUps.bos + wakeUps.template + wakeUps.content;
  const ofWoken = (count: number): string => rateText({ count, of: woken });
  const random = controls.randomFeatures;
  return [
    { name: 'harmful prompts that are refused', measured: rateText(summary.harmfulRefused), published: 'prompts' },
    { name: 'layers searched', measured: settings.layers.join(', '), published: 'layers' },
    { name: 'candidates a layer, first step', measured: countText(candidates.perLayer), published: 'perLayer' },
    { name: 'jailbreaks, all candidates off', measured: rateText(jailbreaks.allOff), published: 'allOff' },
    { name: 'jailbreaks, stage 2 off, by score', measured: rateText(jailbreaks.setByScore), published: 'allOff' },
    { name: 'jailbreaks, stage 2 off, by text', measured: rateText(jailbreaks.setByText), published: 'allOff' },
    { name: 'unique features of stage 2', measured: countText(features.inSets), published: 'setFeatures' },
    { name: 'dormant yet needed', measured: countText(features.dormantYetNeeded), published: 'dormantYetNeeded' },
    {
      name: 'wake-ups at BOS, system and template tokens',
      measured: ofWoken(wakeUps.bos + wakeUps.template),
      published: 'template',
    },
    { name: 'wake-ups at BOS', measured: ofWoken(wakeUps.bos), published: 'bos' },
    {
      name: 'random features, draws that flip',
      measured: random === null ? NOT_MEASURED : rateText(random.flips),
      published: 'randomFeatures',
    },
  ];
};

const stageThreeRows = (three: StageThree | null): Row[] => {
  if (three === null) return [];
  const { fmAccuracy, linearAccuracy, deactivation, testRows } = three;
  const best = (pick: (ablation: StageThree['ablations'][number]) => Count): string => {
    const most = [...three.ablations].sort((a, b) => pick(b).count - pick(a).count)[0];
    return most === undefined ? NOT_MEASURED : `${rateText(pick(most))} with ${countText(most.features)} features`;
  };
  return [
    {
      name: 'jailbreaks, first features of the machine off',
      measured: best((one) => one.fmFlips),
      published: 'stageThree',
    },
    {
      name: 'jailbreaks, first features of a linear probe off',
      measured: best((one) => one.linearFlips),
      published: 'linear',
    },
    {
      name: 'held-out accuracy, machine and linear probe',
      measured: `${percentText(fmAccuracy)} and ${percentText(linearAccuracy)} of ${countText(testRows)}`,
      published: 'accuracy',
    },
    {
      name: 'stage-2 features that stage 3 silences',
      measured:
        deactivation === null
          ? NOT_MEASURED
          : `${rateText(deactivation.silenced)}, at most ${percentText(deactivation.largestShare)} of a prompt`,
      published: 'silenced',
    },
    { name: 'mean drop of their activation', measured: percentText(deactivation?.meanDrop), published: 'drop' },
    ...three.crossEntropy.map(
      ({ text, clean, ablated }): Row => ({
        name: `cross-entropy of ${text}, nats a token`,
        measured: `${numberText(clean)} to ${numberText(ablated.at(-1)?.natsPerToken)}`,
        published: text === 'plain text' ? 'plain' : 'alpaca',
      }),
    ),
  ];
};

const sweepTable = ({ sweep }: PaperFacts): Markup =>
  dataTable({
    caption: 'Stage 2 by threshold on the change of p("I")',
    sortable: false,
    rows: sweep,
    columns: [
      { title: 'threshold', cell: ({ threshold }) => numberText(threshold, 1), value: ({ threshold }) => threshold },
      { title: 'sets that flip', cell: ({ flips }) => rateText(flips), value: ({ flips }) => flips.count },
      {
        title: 'unique features',
        cell: ({ distinctFeatures }) => countText(distinctFeatures),
        value: ({ distinctFeatures }) => distinctFeatures,
      },
      { title: 'mean size', cell: ({ meanSize }) => numberText(meanSize, 1), value: ({ meanSize }) => meanSize },
    ],
  });

const stageThreeTables = ({ ablations, crossEntropy }: StageThree): Markup => markup`
${dataTable({
  caption: 'First features of stage 3 off',
  sortable: false,
  rows: ablations,
  columns: [
    { title: 'features off', cell: ({ features }) => countText(features), value: ({ features }) => features },
    { title: 'machine flips', cell: ({ fmFlips }) => rateText(fmFlips), value: ({ fmFlips }) => fmFlips.count },
    {
      title: 'linear probe flips',
      cell: ({ linearFlips }) => rateText(linearFlips),
      value: ({ linearFlips }) => linearFlips.count,
    },
    ...crossEntropy.map(({ text }, i) => ({
      title: `cross-entropy, ${text}`,
      cell: ({ features }: StageThree['ablations'][number]) =>
        numberText(crossEntropy[i]?.ablated.find((one) => one.features === features)?.natsPerToken),
    })),
  ],
})}
<p class="muted">How the paper ranks features is not published; here both rankings are by their part in the log-odds for one standard deviation. A feature that is silent on clean prompts has no activation to be ranked by.</p>`;
