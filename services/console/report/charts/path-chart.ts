/**
 * Owns the greedy path of one prompt: the refusal score against how many features are off. Trials that stay below 0 lead on;
 * those above 0 are dead ends and, at the left end, the evidence that the set is minimal.
 */
import { type Markup, markup } from '../../text/markup.js';
import { numberText } from '../../text/number-text.js';
import { bottomAxis, leftAxis } from './axis.js';
import { type ChartText, chartFrame, emptyChart, px } from './chart-frame.js';
import { referenceLine } from './line-chart.js';
import { extentOf, type LinearScale, linearScale, niceDomain, niceTicks } from './linear-scale.js';
import { marker } from './marker.js';

export interface PathTrial {
  readonly featuresOff: number;
  readonly score: number;
  readonly flipped: boolean;
  readonly action: string;
}

export interface PathChartSpec extends ChartText {
  readonly width: number;
  readonly height: number;
  readonly trials: readonly PathTrial[];
  /** The clean prompt: no feature off. */
  readonly cleanScore: number;
  /** The minimal set, framed. */
  readonly set?: { readonly size: number; readonly score: number };
}

const MARGIN = { top: 34, right: 14, bottom: 40, left: 40 };
/** Doubling steps are spaced evenly, and 0 has a place: log2(1 + n). */
const octave = (featuresOff: number): number => Math.log2(1 + featuresOff);

/** 0, 1, 2, 5, 10, 20, 50, ... up to the largest. */
export function featureTicks(most: number): number[] {
  const ticks = [0];
  for (let power = 1; power <= most; power *= 10)
    for (const factor of [1, 2, 5]) if (factor * power <= most) ticks.push(factor * power);
  return ticks;
}

const isDrawable = ({ featuresOff, score }: PathTrial): boolean =>
  Number.isFinite(score) && Number.isFinite(featuresOff) && featuresOff >= 0;

export function pathChart(spec: PathChartSpec): Markup {
  const trials = spec.trials.filter(isDrawable);
  if (trials.length === 0) return emptyChart(`${spec.title}: nothing was tried.`);
  const scores = [...trials.map(({ score }) => score), spec.cleanScore];
  const most = Math.max(1, ...trials.map(({ featuresOff }) => featuresOff));
  const bottom = spec.height - MARGIN.bottom;
  const right = spec.width - MARGIN.right;
  const x = linearScale([0, octave(most)], [MARGIN.left + 10, right - 8]);
  const y = linearScale(niceDomain(extentOf(scores, [0]), 4), [bottom, MARGIN.top]);
  const ticks = featureTicks(most);
  // Ticks are placed by their octave and named by their count.
  const nameOf = new Map(ticks.map((tick) => [octave(tick), String(tick)]));
  const bottomSpec = { scale: x, ticks: ticks.map(octave), label: 'features off (logarithmic)' };
  return chartFrame(spec, spec, [
    leftAxis({ scale: y, ticks: niceTicks(y.domain, 4), label: 'refusal score (log-odds, nats)' }, MARGIN.left, right),
    bottomAxis({ ...bottomSpec, tickText: (value) => nameOf.get(value) ?? '' }, bottom),
    referenceLine(y(0), MARGIN.left, right),
    ...pathMarks(trials, spec, x, y),
  ]);
}

function pathMarks(trials: readonly PathTrial[], spec: PathChartSpec, x: LinearScale, y: LinearScale): Markup[] {
  const kept = trials.filter(({ flipped }) => flipped);
  const at = (featuresOff: number): number => x(octave(featuresOff));
  const line = kept
    .map((trial, index) => `${index === 0 ? 'M' : 'L'}${px(at(trial.featuresOff))} ${px(y(trial.score))}`)
    .join('');
  const trialMark = (trial: PathTrial): Markup => {
    const [shape, tone] = trial.flipped ? (['circle', 'comply'] as const) : (['ring', 'refuse'] as const);
    const tip = `${trial.action}: ${trial.featuresOff} off, score ${numberText(trial.score)}`;
    return marker(shape, at(trial.featuresOff), y(trial.score), tone, tip, 3.5);
  };
  const clean = Number.isFinite(spec.cleanScore)
    ? [marker('square', at(0), y(spec.cleanScore), 'ink', `clean prompt, score ${numberText(spec.cleanScore)}`)]
    : [];
  const set =
    spec.set && Number.isFinite(spec.set.score)
      ? [markup`<circle class="halo" cx="${px(at(spec.set.size))}" cy="${px(y(spec.set.score))}" r="8"/>`]
      : [];
  return [markup`<path class="line comply" d="${line}"/>`, ...trials.map(trialMark), ...clean, ...set];
}
