/** Owns the evidence prompt by prompt: the greedy path, the set with the score when each member is put back, and the proof that the edits acted. */
import type { JudgementFacts, MinimalSetFacts, ProofFacts, Report } from '../../../coordinator/report/report-type.js';
import { type Markup, markup } from '../../text/markup.js';
import { countText, numberText, pluralText } from '../../text/number-text.js';
import { pathChart } from '../charts/path-chart.js';
import { dataTable } from '../data-table.js';
import { featureName, figure, type Section } from '../page-parts.js';

type Member = MinimalSetFacts['members'][number];

/** The anchor of a searched prompt, by its place in the report: ids of callers may hold anything. */
const promptAnchor = (index: number): string => `prompt-${index + 1}`;

export function promptsSection(report: Report): Section {
  const firstWords = new Map(report.prompts.map((prompt) => [prompt.id, prompt.firstWords]));
  const verdicts = new Map(report.verification.flips.map((flip) => [flip.promptId, flip]));
  const entries = report.minimalSets.map((set, index) =>
    promptEntry(set, index, firstWords.get(set.promptId) ?? '', verdicts.get(set.promptId)),
  );
  const body = markup`
<p>Each line opens to the evidence for one prompt. Filled blue: sets that keep the model from refusing, on the way down to the minimal one (circled). Hollow vermilion: trials where refusal came back; at the left end these are the members put back one by one.</p>
${entries.length > 0 ? entries : markup`<p class="nothing">No prompt was searched.</p>`}`;
  return { id: 'prompts', title: 'Prompt by prompt', body };
}

function outcomeText(set: MinimalSetFacts): Markup {
  if (set.outcome === 'found') {
    const names = set.members.map(({ feature }) => feature).slice(0, 8);
    return markup`${pluralText(set.members.length, 'feature')}: <span class="id">${names.join(', ')}${set.members.length > 8 && ', …'}</span>`;
  }
  if (set.outcome === 'no flip')
    return markup`<span class="refuse-text">no flip</span> with ${countText(set.candidatesPerLayer)} candidates a layer`;
  return markup`<span class="muted">not refused: nothing to explain</span>`;
}

function promptEntry(
  set: MinimalSetFacts,
  index: number,
  firstWords: string,
  flip: JudgementFacts | undefined,
): Markup {
  return markup`<details class="prompt" id="${promptAnchor(index)}"${index === 0 && markup` open`}><summary><span class="id">${set.promptId}</span><span>${outcomeText(set)}</span></summary><div class="in">
${firstWords && markup`<p>Begins with: <q>${firstWords}</q>${set.category && markup` <span class="muted">(${set.category})</span>`}</p>`}
<p>${scoreSentence(set)} ${flip && markup`The answer under the set: <strong>${flip.verdict}</strong>${flip.firstWords && markup`, beginning with <q>${flip.firstWords}</q>`}.`}</p>
<div class="side-by-side">${figure(pathOf(set), markup`Greedy path (${set.method} method), ${countText(set.evaluations)} evaluations. K a layer tried: ${set.tried.join(', ') || 'none'}.`, `Greedy path of ${set.promptId}`)}<div>${memberTable(set)}${proofTable(set.proof)}</div></div></div></details>`;
}

function scoreSentence(set: MinimalSetFacts): string {
  const parts = [
    `Refusal score: clean ${numberText(set.cleanScore)}`,
    `all candidates off ${numberText(set.allOffScore)}`,
  ];
  if (set.setScore !== null) parts.push(`set off ${numberText(set.setScore)}`);
  const minimal =
    set.outcome === 'found' ? (set.oneMinimal ? ' The set is 1-minimal.' : ' The set is not certified 1-minimal.') : '';
  return `${parts.join(', ')}.${minimal}`;
}

const pathOf = (set: MinimalSetFacts): Markup =>
  pathChart({
    title: `Greedy path of ${set.promptId}`,
    description: `${set.path.length} trials; clean score ${numberText(set.cleanScore)}; set of ${set.members.length} at score ${numberText(set.setScore)}`,
    width: 320,
    height: 250,
    trials: set.path,
    cleanScore: set.cleanScore,
    ...(set.outcome === 'found' && set.setScore !== null
      ? { set: { size: set.members.length, score: set.setScore } }
      : {}),
  });

const memberTable = (set: MinimalSetFacts): Markup =>
  dataTable({
    caption: 'Minimal set, with the evidence that each member is needed',
    sortable: false,
    rows: set.members,
    columns: [
      {
        title: 'feature',
        cell: ({ feature, cleanActivation }: Member) =>
          markup`${featureName(feature)}${!(cleanActivation > 0) && ' dormant'}`,
      },
      { title: 'score, put back', cell: (row) => numberText(row.restoredScore), value: (row) => row.restoredScore },
      { title: 'score, alone off', cell: (row) => numberText(row.aloneScore), value: (row) => row.aloneScore },
      {
        title: 'clean activation',
        cell: (row) => numberText(row.cleanActivation),
        value: (row) => row.cleanActivation,
      },
      { title: 'cosine', cell: (row) => numberText(row.cosine, 3), value: (row) => row.cosine },
    ],
  });

const proofTable = (proof: readonly ProofFacts[]): Markup | string =>
  proof.length === 0
    ? ''
    : dataTable({
        caption: 'Proof that the edits acted',
        sortable: false,
        rows: proof,
        columns: [
          { title: 'layer', cell: (row: ProofFacts) => String(row.layer), value: (row) => row.layer },
          { title: 'norm of the change', cell: (row) => numberText(row.deltaNorm), value: (row) => row.deltaNorm },
          { title: 'of residual norm', cell: (row) => numberText(row.residualNorm), value: (row) => row.residualNorm },
          { title: 'edits active', cell: (row) => countText(row.activeEdits), value: (row) => row.activeEdits },
          { title: 'position–edit pairs', cell: (row) => countText(row.activePairs), value: (row) => row.activePairs },
        ],
      });
