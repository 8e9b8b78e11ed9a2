/** Owns charts of a few series over a number: depth profiles and the like. Points that are not finite are left out and counted. */
import { type Markup, markup } from '../../text/markup.js';
import { bottomAxis, leftAxis } from './axis.js';
import { type ChartText, chartFrame, emptyChart, px } from './chart-frame.js';
import { extentOf, type LinearScale, linearScale, niceDomain, niceTicks } from './linear-scale.js';
import { logScale } from './log-scale.js';
import { type MarkerShape, marker } from './marker.js';

export interface LinePoint {
  readonly x: number;
  readonly y: number;
  readonly tip: string;
}

export interface LineSeries {
  readonly name: string;
  /** CSS class that gives colour and dash. */
  readonly tone: string;
  readonly shape: MarkerShape;
  readonly points: readonly LinePoint[];
  /** The line goes on level from the last point to this x: nothing more happens there. */
  readonly extendTo?: number;
}

export interface LineChartSpec extends ChartText {
  readonly width: number;
  readonly height: number;
  readonly xLabel: string;
  /** Default: linear. On a log scale every x must be above 0. */
  readonly xScale?: 'linear' | 'log';
  readonly yLabel: string;
  /** Values that the axes must show, such as 0. */
  readonly yInclude?: readonly number[];
  /** Ticks of x; default: round values. Layers, say, are named one by one. */
  readonly xTicks?: readonly number[];
  /** A line that means something, such as the score 0. */
  readonly yReference?: number;
  readonly series: readonly LineSeries[];
}

const MARGIN = { top: 34, right: 14, bottom: 40, left: 44 };
const isDrawable = ({ x, y }: LinePoint, spec: LineChartSpec): boolean =>
  Number.isFinite(x) && Number.isFinite(y) && (spec.xScale !== 'log' || x > 0);

export function lineChart(spec: LineChartSpec): Markup {
  const series = spec.series.map((one) => ({ ...one, points: one.points.filter((point) => isDrawable(point, spec)) }));
  const points = series.flatMap((one) => one.points);
  if (points.length === 0) return emptyChart(`${spec.title}: nothing was measured.`);
  const bottom = spec.height - MARGIN.bottom;
  const right = spec.width - MARGIN.right;
  const yDomain = niceDomain(
    extentOf(
      points.map(({ y }) => y),
      spec.yInclude,
    ),
  );
  const xs = [...points.map((point) => point.x), ...series.flatMap(({ extendTo }) => extendTo ?? [])];
  const toPixels = spec.xScale === 'log' ? logScale : linearScale;
  const x = toPixels(extentOf(xs), [MARGIN.left + 10, right - 10]);
  const y = linearScale(yDomain, [bottom, MARGIN.top]);
  const body = [
    leftAxis({ scale: y, ticks: niceTicks(y.domain), label: spec.yLabel }, MARGIN.left, right),
    bottomAxis({ scale: x, ticks: spec.xTicks ?? niceTicks(x.domain), label: spec.xLabel }, bottom),
    ...(spec.yReference === undefined ? [] : [referenceLine(y(spec.yReference), MARGIN.left, right)]),
    ...series.map((one) => seriesMarks(one, x, y)),
  ];
  return markup`${chartFrame(spec, spec, body)}${droppedNote(spec, points.length)}`;
}

export const referenceLine = (y: number, left: number, right: number): Markup =>
  markup`<line class="reference" x1="${px(left)}" x2="${px(right)}" y1="${px(y)}" y2="${px(y)}"/>`;

function seriesMarks({ tone, shape, points, extendTo }: LineSeries, x: LinearScale, y: LinearScale): Markup {
  const path = points.map((point, index) => `${index === 0 ? 'M' : 'L'}${px(x(point.x))} ${px(y(point.y))}`).join('');
  const end = extendTo === undefined || points.length === 0 ? '' : `H${px(x(extendTo))}`;
  return markup`<g class="series"><path class="line ${tone}" d="${path}${end}"/>${points.map((point) => marker(shape, x(point.x), y(point.y), tone, point.tip))}</g>`;
}

function droppedNote(spec: LineChartSpec, drawn: number): Markup | string {
  const dropped = spec.series.reduce((sum, { points }) => sum + points.length, 0) - drawn;
  return dropped > 0 ? markup`<p class="nothing">Not drawn, because not a number: ${dropped}.</p>` : '';
}

/** A legend with the marker of each series; real text, so that it wraps and prints. */
export const seriesLegend = (series: readonly Pick<LineSeries, 'name' | 'tone' | 'shape'>[]): Markup =>
  markup`<ul class="legend">${series.map(
    ({ name, tone, shape }) =>
      markup`<li><svg class="key" width="28" height="12" viewBox="0 0 28 12" aria-hidden="true"><path class="line ${tone}" d="M1 6L27 6"/>${marker(shape, 14, 6, tone, name)}</svg>${name}</li>`,
  )}</ul>`;
