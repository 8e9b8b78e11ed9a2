/** Owns counts of whole numbers (set sizes): one upright bar a value, gaps shown as gaps. */
import { type Markup, markup } from '../../text/markup.js';
import { bottomAxis, leftAxis } from './axis.js';
import { type ChartText, chartFrame, emptyChart, px } from './chart-frame.js';
import { extentOf, linearScale, niceDomain, niceTicks } from './linear-scale.js';

export interface HistogramSpec extends ChartText {
  readonly width: number;
  readonly height: number;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly values: readonly number[];
}

const MARGIN = { top: 34, right: 14, bottom: 40, left: 40 };
const MAX_BAR = 46;

/** How many times each whole number occurs, ascending by number. */
export function countValues(values: readonly number[]): [value: number, count: number][] {
  const counts = new Map<number, number>();
  for (const value of values) if (Number.isInteger(value)) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].sort(([first], [second]) => first - second);
}

export function histogram(spec: HistogramSpec): Markup {
  const counts = countValues(spec.values);
  if (counts.length === 0) return emptyChart(`${spec.title}: nothing to count.`);
  const bottom = spec.height - MARGIN.bottom;
  const right = spec.width - MARGIN.right;
  const [low, high] = extentOf(counts.map(([value]) => value));
  const most = Math.max(...counts.map(([, count]) => count));
  const x = linearScale([low - 0.5, high + 0.5], [MARGIN.left, right]);
  const y = linearScale(niceDomain([0, most * 1.05], 4), [bottom, MARGIN.top]);
  const wide = Math.min(MAX_BAR, (x(1) - x(0)) * 0.72);
  const whole = (ticks: readonly number[]): number[] => ticks.filter(Number.isInteger);
  const bar = ([value, count]: readonly [number, number]): Markup =>
    markup`<g><title>${`${value}: ${count}`}</title><rect class="bar comply" x="${px(x(value) - wide / 2)}" y="${px(y(count))}" width="${px(wide)}" height="${px(bottom - y(count))}"/><text class="bar-value" text-anchor="middle" x="${px(x(value))}" y="${px(y(count) - 4)}">${count}</text></g>`;
  return chartFrame(spec, spec, [
    leftAxis({ scale: y, ticks: whole(niceTicks(y.domain, 4)), label: spec.yLabel }, MARGIN.left, right),
    bottomAxis({ scale: x, ticks: whole(niceTicks([low, high], 12)), label: spec.xLabel }, bottom),
    ...counts.map(bar),
  ]);
}
