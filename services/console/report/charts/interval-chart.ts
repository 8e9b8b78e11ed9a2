/** Owns effects with their intervals, a row each: the mean, the interval as a whisker, and beside them what null sets gave. */
import { type Markup, markup } from '../../text/markup.js';
import { bottomAxis } from './axis.js';
import { type ChartText, chartFrame, emptyChart, px } from './chart-frame.js';
import { extentOf, type LinearScale, linearScale, niceDomain, niceTicks } from './linear-scale.js';
import { marker } from './marker.js';

export interface IntervalRow {
  readonly label: string;
  readonly mean: number;
  readonly low: number;
  readonly high: number;
  /** What should be near 0, drawn as a cross. */
  readonly against: number;
  readonly tip: string;
}

export interface IntervalChartSpec extends ChartText {
  readonly width: number;
  readonly xLabel: string;
  readonly rows: readonly IntervalRow[];
}

const ROW = 22;
const CHARACTER = 6.7;
const MARGIN = { top: 6, right: 16, bottom: 40 };

export function intervalChart(spec: IntervalChartSpec): Markup {
  const rows = spec.rows.filter(({ mean, low, high }) => [mean, low, high].every(Number.isFinite));
  if (rows.length === 0) return emptyChart(`${spec.title}: none.`);
  const left = Math.max(...rows.map(({ label }) => label.length)) * CHARACTER + 16;
  const bottom = MARGIN.top + rows.length * ROW;
  const values = rows.flatMap(({ low, high, against }) => [low, high, against]);
  const x = linearScale(niceDomain(extentOf(values, [0]), 5), [left, spec.width - MARGIN.right]);
  const zero = px(x(0));
  return chartFrame(spec, { width: spec.width, height: bottom + MARGIN.bottom }, [
    markup`<line class="reference" x1="${zero}" x2="${zero}" y1="${MARGIN.top}" y2="${px(bottom)}"/>`,
    ...rows.map((row, index) => rowMarks(row, x, left, MARGIN.top + index * ROW + ROW / 2)),
    bottomAxis({ scale: x, ticks: niceTicks(x.domain, 5), label: spec.xLabel }, bottom),
  ]);
}

function rowMarks({ label, mean, low, high, against, tip }: IntervalRow, x: LinearScale, left: number, y: number) {
  const path = `M${px(x(low))} ${px(y - 4)}V${px(y + 4)}M${px(x(low))} ${px(y)}H${px(x(high))}M${px(x(high))} ${px(y - 4)}V${px(y + 4)}`;
  const crossed = Number.isFinite(against) && marker('cross', x(against), y, 'third', `under null sets: ${tip}`, 3);
  return markup`<text class="tick-text id" text-anchor="end" x="${px(left - 8)}" y="${px(y + 4)}">${label}</text><path class="whisker" d="${path}"/>${crossed}${marker('circle', x(mean), y, mean < 0 ? 'refuse' : 'comply', tip)}`;
}
