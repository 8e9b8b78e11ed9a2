/**
 * Owns the hydra: features that are silent on the clean prompt, wake once the refusal's own features are off, and then carry it. Prevents:
 * a woken feature that is taken for a backup although its loss changes nothing, or although any suppression wakes it.
 */
import type { Hydra, HydraFeatureFacts, Report } from '../../../coordinator/report/report-type.js';
import { type Markup, markup } from '../../text/markup.js';
import { changeText, countText, numberText, percentText, pluralText } from '../../text/number-text.js';
import { intervalChart } from '../charts/interval-chart.js';
import { rateText } from '../count-text.js';
import { dataTable } from '../data-table.js';
import { featureName, featureNames, figure, type Section } from '../page-parts.js';

export function hydraSection({ hydra, settings }: Report): Section | undefined {
  if (hydra === undefined) return undefined;
  return { id: 'hydra', title: 'Hydra', body: hydra.depth === null ? notTraced(hydra) : traced(hydra, settings) };
}

const notTraced = ({ examined }: Hydra): Markup =>
  markup`<p class="nothing">Not traced: ${pluralText(examined.of, 'prompt')} with a minimal set; a mean over prompts needs two.</p>`;

function traced(hydra: Hydra, { claims }: Report['settings']): Markup {
  return markup`
<p>Once a prompt’s set is off, features that were silent may wake and take its place; once those are off as well, others may. ${answer(hydra)} Traced over ${rateText(hydra.examined)} of the prompts with a set.</p>
<p>How it is decided: a feature’s <em>conditional effect</em> is what its loss changes once the set is off, minus what it changes in the intact model. From this the same effect under null sets is taken (random features that are on, and the set’s own edits turned at random). A feature counts if the mean over prompts is larger than ${numberText(claims?.hydraMinEffect ?? null)} nats${claims && markup`, with an expected share of at most ${percentText(claims.hydraLevel)} false ones among those listed`}. Below 0: it holds up refusal once the set is gone.</p>
${wokenText(hydra, claims?.hydraFeatures)}
${hydra.features.length > 0 && figure(effectChart(hydra.features), 'Mean effect with its 95 % interval over prompts, by round, then by size. Cross: the largest effect under a null set.', 'Effects of woken features')}
${featureTable(hydra.features)}`;
}

const answer = ({ depth, features, tested, examined }: Hydra): Markup =>
  depth === 0
    ? markup`<strong>No hydra was found</strong>: none of the ${countText(tested)} features that woke in two or more of these ${countText(examined.count)} prompts changes the score by more than chance allows.`
    : markup`Features that carry weight then: <strong>${countText(features.length)}</strong> of the ${countText(tested)} that woke in two prompts or more and were tested, in <strong>${pluralText(depth ?? 0, 'round')}</strong>.`;

const wokenText = ({ wokenByRound }: Hydra, followed: number | undefined): Markup | string =>
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

const featureTable = (features: readonly HydraFeatureFacts[]): Markup =>
  dataTable({
    caption: 'Woken features that carry refusal once the sets are off',
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
