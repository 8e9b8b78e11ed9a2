/** Owns charts of a few series over a number: depth profiles and the like. Points that are not finite are left out and counted. */
import { type Markup, markup } from '../../text/markup.js';
import { bottomAxis, leftAxis } from './axis.js';
import { type ChartText, chartFrame, emptyChart, px } from './chart-frame.js';
import { extentOf, type LinearScale, linearScale, niceDomain, niceTicks } from './linear-scale.js';
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
}

export interface LineChartSpec extends ChartText {
  readonly width: number;
  readonly height: number;
  readonly xLabel: string;
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
const isFinitePoint = ({ x, y }: LinePoint): boolean => Number.isFinite(x) && Number.isFinite(y);

export function lineChart(spec: LineChartSpec): Markup {
  const series = spec.series.map((one) => ({ ...one, points: one.points.filter(isFinitePoint) }));
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
  const x = linearScale(extentOf(points.map((point) => point.x)), [MARGIN.left + 10, right - 10]);
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

function seriesMarks({ tone, shape, points }: LineSeries, x: LinearScale, y: LinearScale): Markup {
  const path = points.map((point, index) => `${index === 0 ? 'M' : 'L'}${px(x(point.x))} ${px(y(point.y))}`).join('');
  return markup`<g class="series"><path class="line ${tone}" d="${path}"/>${points.map((point) => marker(shape, x(point.x), y(point.y), tone, point.tip))}</g>`;
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
