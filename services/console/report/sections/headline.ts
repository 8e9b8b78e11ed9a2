/**
 * Owns the answer in words: how many refused prompts flip, with how few features, how deep, and whether the controls stay quiet.
 * Prevents a flip rate from being read without its denominator, its controls and what it does not show.
 */
import type { ControlArmName, Count, Report } from '../../../coordinator/report/report-type.js';
import { type Markup, markup } from '../../text/markup.js';
import { countText, numberText, percentText, pluralText, shareText } from '../../text/number-text.js';
import { CONTROL_NAMES, rateText, rateWithInterval } from '../count-text.js';
import { type KeyFigure, keyFigures, type Section } from '../page-parts.js';
import { wilsonInterval } from '../wilson-interval.js';
import { claimAnswer } from './claim-sentences.js';

export type Verdict = 'nothing refused' | 'no set' | 'no controls' | 'specific' | 'not specific';

/** Controls that replace the set by chance; ablating the direction is a baseline, not a control. */
const CHANCE_ARMS: readonly ControlArmName[] = ['randomFeatures', 'randomActiveFeatures', 'randomDirections'];

/** The chance control that flips most often; undefined if none was run. */
export function strictestControl(report: Report): { arm: ControlArmName; flips: Count } | undefined {
  const share = ({ flips }: { flips: Count }): number => flips.count / flips.of;
  return report.summary.controlFlips
    .filter(({ arm, flips }) => CHANCE_ARMS.includes(arm) && flips.of > 0)
    .sort((first, second) => share(second) - share(first))[0];
}

/** "Specific": the interval of the strictest control ends below the interval of the prompts that have a set. */
export function verdictOf(report: Report): Verdict {
  const { minimalSetsFound: found } = report.summary;
  if (found.of === 0) return 'nothing refused';
  if (found.count === 0) return 'no set';
  const control = strictestControl(report);
  if (!control) return 'no controls';
  const chance = wilsonInterval(control.flips.count, control.flips.of);
  const sets = wilsonInterval(found.count, found.of);
  return chance && sets && chance.high < sets.low ? 'specific' : 'not specific';
}

export function headlineSection(report: Report): Section {
  const body = markup`${answer(report).map((sentence) => markup`<p class="answer">${sentence}</p>`)}
${keyFigures(figuresOf(report))}
${report.notes.map((note) => markup`<p class="notice">${note}</p>`)}
<p class="muted">What this does not show: a set that flips a prompt is sufficient to suppress this refusal in this model; it need not be the only such set, and other refusals may rest on others. Rates carry their denominators; intervals are Wilson’s, 95 %.</p>`;
  return { id: 'answer', title: 'Answer', body };
}

function answer(report: Report): Markup[] {
  const { summary } = report;
  const found = summary.minimalSetsFound;
  const verdict = verdictOf(report);
  if (verdict === 'nothing refused')
    return [
      markup`No searched prompt was refused, so there is no refusal to explain. Refused: ${rateText(summary.harmfulRefused)} of the harmful prompts.`,
    ];
  if (verdict === 'no set')
    return [
      markup`<strong>No refusal could be switched off</strong>: none of the ${countText(found.of)} searched prompts flipped, even with the most candidates allowed. ${depthSentence(report)}`,
    ];
  const size = summary.setSize;
  const sizes =
    size &&
    markup` ${size.min === size.max ? `with ${pluralText(size.min, 'feature')} each` : `with ${countText(size.min)} to ${countText(size.max)} features each (median ${numberText(size.median, Number.isInteger(size.median) ? 0 : 1)})`}`;
  const searched = report.settings.searched === 'refused harmless' ? 'refused harmless prompts' : 'refused prompts';
  return [
    markup`Suppressing a few features <strong>switches refusal off in ${rateWithInterval(found)}</strong> of the ${searched} that were searched,${sizes}. ${textSentence(report)}`,
    markup`${controlSentence(report, verdict)} ${depthSentence(report)}`,
    ...[claimAnswer(report)].filter((sentence) => sentence !== undefined),
  ];
}

function textSentence({ summary }: Report): Markup | string {
  const { count, of } = summary.flipsConfirmedByText;
  if (of === 0) return 'No flip was verified by text.';
  return markup`Read as text, ${shareText(count, of)} of the answers under a set comply, fully or partly.`;
}

function controlSentence(report: Report, verdict: Verdict): Markup {
  const control = strictestControl(report);
  if (!control) return markup`<strong>No control was run</strong>: how often chance does the same is not known.`;
  const name = CONTROL_NAMES[control.arm].toLowerCase();
  if (verdict === 'specific')
    return markup`The sets are <strong>specific</strong>: the strictest control (${name}) flips ${rateWithInterval(control.flips)} of its draws.`;
  return markup`The sets are <strong>not shown to be specific</strong>: a control (${name}) flips ${rateWithInterval(control.flips)} of its draws, which this sample cannot tell apart from the sets’ own rate.`;
}

function depthSentence({ summary, depthProfile }: Report): Markup | string {
  if (depthProfile.layers.length === 0) return '';
  const k = countText(depthProfile.candidatesPerLayer);
  if (summary.firstFlippingLayer === null)
    return markup`How deep: no single layer’s ${k} candidates flip half of the prompts, so the refusal is spread over layers or lies outside those searched.`;
  return markup`How deep: <strong>layer ${summary.firstFlippingLayer}</strong> is the first whose ${k} candidates alone flip at least half of the prompts.`;
}

function figuresOf(report: Report): KeyFigure[] {
  const { summary } = report;
  const control = strictestControl(report);
  const counted = (name: string, { count, of }: Count, what: string): KeyFigure => ({
    name,
    big: of > 0 ? percentText(count / of) : '–',
    of: `${countText(count)} of ${countText(of)} ${what}`,
  });
  const size = summary.setSize;
  return [
    counted('Refused, harmful', summary.harmfulRefused, 'harmful prompts'),
    counted('Refused, harmless', summary.harmlessRefused, 'harmless prompts'),
    counted('Flipped by a minimal set', summary.minimalSetsFound, 'searched prompts'),
    {
      name: 'Features in a set, median',
      big: numberText(size?.median, size && Number.isInteger(size.median) ? 0 : 1),
      of: size ? `${size.min} to ${size.max}; ${countText(summary.distinctFeatures)} distinct in all` : 'no set',
    },
    counted('Confirmed by text', summary.flipsConfirmedByText, 'judged answers'),
    {
      name: 'First layer that flips half',
      big: summary.firstFlippingLayer === null ? '–' : String(summary.firstFlippingLayer),
      of: `of ${report.model.nLayers} layers; its candidates alone`,
    },
    control
      ? counted('Strictest control flips', control.flips, 'draws')
      : { name: 'Strictest control flips', big: '–', of: 'not run' },
    counted('Sets with dormant members', summary.setsWithDormantMembers, 'minimal sets'),
  ];
}
