/**
 * Owns the hydra: features that are silent on the clean prompt, wake once the refusal's own features are off, and then carry it. Prevents:
 * a woken feature that is taken for a backup although its loss changes nothing, or although any suppression wakes it.
 */
import { type MadeTrace, tracesOf } from '../../../coordinator/report/hydra-traces.js';
import type {
  Hydra,
  HydraFeatureFacts,
  HydraTrace,
  Report,
  StrongestTrace,
} from '../../../coordinator/report/report-type.js';
import { type Markup, markup } from '../../text/markup.js';
import { changeText, countText, numberText, percentText, pluralText } from '../../text/number-text.js';
import { intervalChart } from '../charts/interval-chart.js';
import { rateText } from '../count-text.js';
import { dataTable } from '../data-table.js';
import { featureName, featureNames, figure, type Section } from '../page-parts.js';

export function hydraSection({ hydra, settings }: Report): Section | undefined {
  if (hydra === undefined) return undefined;
  const traces = tracesOf(hydra);
  const body = markup`
${intro(settings)}
<h3>From the minimal sets</h3>
<p>Each prompt’s set is switched off first. It was found by flipping, so it had to win against any backups: it holds them, or is made of what wakes them little.</p>
${partOf(traces, 'minimal sets', settings) ?? notTraced(hydra)}
${hydra.fromStrongest && fromStrongest(hydra.fromStrongest)}
${partOf(traces, 'strongest features', settings)}`;
  return { id: 'hydra', title: 'Hydra', body };
}

const intro = ({ claims }: Report['settings']): Markup => markup`
<p>Once features that carry a refusal are off, others that were silent may wake and take their place; once those are off as well, more may.</p>
<p>How it is decided: a feature’s <em>conditional effect</em> is what its loss changes once the first ones are off, minus what it changes in the intact model. From this the same effect under null sets is taken (random features that are on, and the first ones’ own edits turned at random). A feature counts if the mean over prompts is larger than ${numberText(claims?.hydraMinEffect ?? null)} nats${claims && markup`, with an expected share of at most ${percentText(claims.hydraLevel)} false ones among all that are listed`}. Below 0: it holds up refusal once the others are gone.</p>`;

const notTraced = ({ examined }: Hydra): Markup =>
  markup`<p class="nothing">Not traced: ${pluralText(examined.of, 'prompt')} with a minimal set; a mean over prompts needs two.</p>`;

const fromStrongest = ({ perPrompt, belowLayer }: StrongestTrace): Markup => markup`
<h3>From strong early features</h3>
<p>Switched off first in each prompt: the ${countText(perPrompt)} features with the largest activation times cosine, of those nearest the direction below layer ${countText(belowLayer)}. They were chosen without a look at any score, and in prompts without a minimal set too.</p>`;

const partOf = (
  traces: readonly MadeTrace[],
  from: MadeTrace['from'],
  { claims }: Report['settings'],
): Markup | undefined => {
  const trace = traces.find((made) => made.from === from);
  return (
    trace &&
    markup`
<p>${answer(trace)} Traced over ${rateText(trace.examined)} of the prompts${from === 'minimal sets' && ' with a set'}.</p>
${wokenText(trace, claims?.hydraFeatures)}
${trace.features.length > 0 && figure(effectChart(trace.features), 'Mean effect with its 95 % interval over prompts, by round, then by size. Cross: the largest effect under a null set.', `Effects of woken features, from ${from}`)}
${featureTable(trace)}`
  );
};

const answer = ({ depth, features, tested, examined }: MadeTrace): Markup =>
  depth === 0
    ? markup`<strong>No hydra was found</strong>: none of the ${countText(tested)} features that woke in two or more of these ${countText(examined.count)} prompts changes the score by more than chance allows.`
    : markup`Features that carry weight then: <strong>${countText(features.length)}</strong> of the ${countText(tested)} that woke in two prompts or more and were tested, in <strong>${pluralText(depth, 'round')}</strong>.`;

const wokenText = ({ wokenByRound }: HydraTrace, followed: number | undefined): Markup | string =>
  wokenByRound.length === 0
    ? ''
    : markup`<p class="muted">Woke on average, by round: ${wokenByRound.map((mean) => numberText(mean, 1)).join(', ')}${followed !== undefined && Math.max(...wokenByRound) > followed && markup`; the ${countText(followed)} with the largest activation are followed and tested in each round, so others may have been missed`}.</p>`;

const effectChart = (features: readonly HydraFeatureFacts[]): Markup =>
  intervalChart({
    title: 'Effects of woken features',
    description: features.map(({ feature, effect }) => `${feature} ${numberText(effect)}`).join('; '),
    width: 560,
    xLabel: 'conditional effect less that under null sets (nats)',
    rows: features.map(({ feature, round, effect, effectLow, effectHigh, nullLargest }) => ({
      label: `${feature}, round ${round}`,
      mean: effect,
      low: effectLow,
      high: effectHigh,
      against: nullLargest,
      tip: `${feature}: ${changeText(effect)}, 95 % interval ${changeText(effectLow)} to ${changeText(effectHigh)}; largest under a null set ${changeText(nullLargest)}`,
    })),
  });

const featureTable = ({ from, features }: MadeTrace): Markup =>
  dataTable({
    caption: `Woken features that carry refusal once the ${from} are off`,
    rows: features,
    columns: [
      { title: 'feature', cell: (row: HydraFeatureFacts) => featureName(row.feature) },
      { title: 'round', cell: (row) => countText(row.round), value: (row) => row.round },
      { title: 'woke in', cell: (row) => rateText(row.wokeIn), value: (row) => row.wokeIn.count },
      {
        title: 'woken by the loss of',
        cell: ({ wakers }) => (wakers.length > 0 ? featureNames(wakers) : 'not told apart'),
      },
      { title: 'where', cell: (row) => placesText(row) },
      { title: 'effect', cell: (row) => changeText(row.effect), value: (row) => row.effect },
      {
        title: '95 % interval',
        cell: ({ effectLow, effectHigh }) => `${changeText(effectLow)} to ${changeText(effectHigh)}`,
      },
      {
        title: 'intact model; null sets',
        cell: ({ intactEffect, nullEffect }) => `${changeText(intactEffect)}; ${changeText(nullEffect)}`,
      },
      { title: 'q', cell: (row) => numberText(row.qValue, 4), value: (row) => row.qValue },
    ],
  });

/** "content 4, template 2". */
function placesText({ awakeAt }: HydraFeatureFacts): string {
  const places = Object.entries(awakeAt).filter(([, count]) => count > 0);
  return places.map(([kind, count]) => `${kind} ${count}`).join(', ') || 'none';
}
