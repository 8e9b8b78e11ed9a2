/** Owns predicted against measured: points beside the line of equality, on one scale for both axes. */
import { type Markup, markup } from '../../text/markup.js';
import { bottomAxis, leftAxis } from './axis.js';
import { type ChartText, chartFrame, emptyChart, px } from './chart-frame.js';
import type { LinePoint } from './line-chart.js';
import { extentOf, linearScale, niceDomain, niceTicks } from './linear-scale.js';
import { marker } from './marker.js';

export interface ScatterSpec extends ChartText {
  /** Side of the square plot with its margins, pixels. */
  readonly side: number;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly points: readonly LinePoint[];
}

const MARGIN = { top: 34, right: 14, bottom: 40, left: 44 };

export function scatterChart(spec: ScatterSpec): Markup {
  const points = spec.points.filter(({ x, y }) => Number.isFinite(x) && Number.isFinite(y));
  if (points.length === 0) return emptyChart(`${spec.title}: no pair was measured.`);
  const domain = niceDomain(
    extentOf(
      points.flatMap(({ x, y }) => [x, y]),
      [0],
    ),
    4,
  );
  const bottom = spec.side - MARGIN.bottom;
  const right = spec.side - MARGIN.right;
  const x = linearScale(domain, [MARGIN.left, right]);
  const y = linearScale(domain, [bottom, MARGIN.top]);
  const ticks = niceTicks(domain, 4);
  const [low, high] = domain;
  return chartFrame(spec, { width: spec.side, height: spec.side }, [
    leftAxis({ scale: y, ticks, label: spec.yLabel }, MARGIN.left, right),
    bottomAxis({ scale: x, ticks, label: spec.xLabel }, bottom),
    markup`<line class="reference" x1="${px(x(low))}" y1="${px(y(low))}" x2="${px(x(high))}" y2="${px(y(high))}"/>`,
    ...points.map((point) => marker('circle', x(point.x), y(point.y), point.y < 0 ? 'comply' : 'refuse', point.tip)),
  ]);
}
