/** Owns level bars of shares with their counts and intervals: "how often", never without the denominator. */
import { type Markup, markup } from '../../text/markup.js';
import { percentText, shareText } from '../../text/number-text.js';
import { wilsonInterval } from '../wilson-interval.js';
import { bottomAxis } from './axis.js';
import { type ChartText, chartFrame, emptyChart, px } from './chart-frame.js';
import { type LinearScale, linearScale } from './linear-scale.js';

export interface ShareBar {
  readonly label: string;
  readonly count: number;
  readonly total: number;
  /** CSS class that gives the colour. */
  readonly tone: string;
}

export interface BarChartSpec extends ChartText {
  readonly width: number;
  /** What the share is of, such as "share that flipped". */
  readonly xLabel: string;
  readonly bars: readonly ShareBar[];
}

const ROW = 44;
const MARGIN = { top: 6, right: 20, bottom: 40, left: 12 };

/** One row a bar: its label and counts above, the bar below, the 95 % interval as a whisker. */
export function shareBars(spec: BarChartSpec): Markup {
  if (spec.bars.length === 0) return emptyChart(`${spec.title}: nothing was measured.`);
  const bottom = MARGIN.top + spec.bars.length * ROW;
  const x = linearScale([0, 1], [MARGIN.left, spec.width - MARGIN.right]);
  const axis = { scale: x, ticks: [0, 0.25, 0.5, 0.75, 1], label: spec.xLabel, tickText: percentText };
  const rows = spec.bars.map((bar, index) => barRow(bar, x, MARGIN.top + index * ROW));
  return chartFrame(spec, { width: spec.width, height: bottom + MARGIN.bottom }, [...rows, bottomAxis(axis, bottom)]);
}

function barRow(bar: ShareBar, x: LinearScale, top: number): Markup {
  const share = bar.total > 0 ? bar.count / bar.total : 0;
  const interval = wilsonInterval(bar.count, bar.total);
  const y = top + 22;
  const tip = interval
    ? `${bar.label}: ${shareText(bar.count, bar.total)}, 95 % interval ${percentText(interval.low)} to ${percentText(interval.high)}`
    : `${bar.label}: nothing counted`;
  const whisker = interval && whiskerMark(x(interval.low), x(interval.high), y + 7);
  return markup`<g class="bar-row"><title>${tip}</title><text class="bar-label" x="${px(x(0))}" y="${px(top + 15)}">${bar.label}</text><text class="bar-value" text-anchor="end" x="${px(x(1))}" y="${px(top + 15)}">${shareText(bar.count, bar.total)}</text><rect class="track" x="${px(x(0))}" y="${px(y)}" width="${px(x(1) - x(0))}" height="14"/><rect class="bar ${bar.tone}" x="${px(x(0))}" y="${px(y)}" width="${px(x(share) - x(0))}" height="14"/>${whisker}</g>`;
}

/** Drawn twice, a wide pale line below a thin dark one, so that it shows on the bar as well as beside it. */
function whiskerMark(low: number, high: number, y: number): Markup {
  const path = `M${px(low)} ${px(y - 4)}V${px(y + 4)}M${px(low)} ${px(y)}H${px(high)}M${px(high)} ${px(y - 4)}V${px(y + 4)}`;
  return markup`<path class="whisker-back" d="${path}"/><path class="whisker" d="${path}"/>`;
}
