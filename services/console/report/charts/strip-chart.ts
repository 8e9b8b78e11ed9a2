/** Owns the spread of one number by group: a dot a prompt, dots that would cover one another stacked. */
import { type Markup, markup } from '../../text/markup.js';
import { bottomAxis } from './axis.js';
import { type ChartText, chartFrame, emptyChart, px } from './chart-frame.js';
import { extentOf, type LinearScale, linearScale, niceDomain, niceTicks } from './linear-scale.js';
import { type MarkerShape, marker } from './marker.js';

export interface StripDot {
  readonly value: number;
  readonly tone: string;
  readonly shape: MarkerShape;
  readonly tip: string;
}

export interface StripChartSpec extends ChartText {
  readonly width: number;
  readonly xLabel: string;
  readonly groups: readonly { readonly name: string; readonly dots: readonly StripDot[] }[];
  /** A value that means something, such as the score 0. */
  readonly reference: number;
}

const MARGIN = { top: 4, right: 14, bottom: 40, left: 16 };
const DOT = 3.2;
const STEP = DOT * 2 + 0.6;
const HEADING = 20;

/** The stack level of each dot (0 at the base), so that no two dots of one level are nearer than `apart` pixels. */
export function stackLevels(places: readonly number[], apart: number): number[] {
  const levels = new Array<number>(places.length).fill(0);
  const ends: number[] = [];
  const order = places.map((_, index) => index).sort((a, b) => places[a]! - places[b]! || a - b);
  for (const index of order) {
    const free = ends.findIndex((end) => places[index]! - end >= apart);
    const level = free < 0 ? ends.length : free;
    ends[level] = places[index]!;
    levels[index] = level;
  }
  return levels;
}

export function stripChart(spec: StripChartSpec): Markup {
  const groups = spec.groups.map(({ name, dots }) => ({
    name,
    dots: dots.filter(({ value }) => Number.isFinite(value)),
  }));
  const values = groups.flatMap(({ dots }) => dots.map(({ value }) => value));
  if (values.length === 0) return emptyChart(`${spec.title}: nothing was measured.`);
  const domain = niceDomain(extentOf(values, [spec.reference]), 6);
  const x = linearScale(domain, [MARGIN.left, spec.width - MARGIN.right]);
  let y = MARGIN.top;
  const parts: Markup[] = [];
  for (const { name, dots } of groups) {
    const levels = stackLevels(
      dots.map(({ value }) => x(value)),
      STEP,
    );
    const base = y + HEADING + (Math.max(0, ...levels) + 1) * STEP;
    parts.push(groupMarks(name, dots, levels, x, y, base));
    y = base + 12;
  }
  const reference = px(x(spec.reference));
  return chartFrame(spec, { width: spec.width, height: y + MARGIN.bottom }, [
    markup`<line class="reference" x1="${reference}" x2="${reference}" y1="${MARGIN.top}" y2="${px(y)}"/>`,
    ...parts,
    bottomAxis({ scale: x, ticks: niceTicks(x.domain, 6), label: spec.xLabel }, y),
  ]);
}

function groupMarks(
  name: string,
  dots: readonly StripDot[],
  levels: readonly number[],
  x: LinearScale,
  top: number,
  base: number,
): Markup {
  const marks = dots.map((dot, index) =>
    marker(dot.shape, x(dot.value), base - STEP / 2 - levels[index]! * STEP, dot.tone, dot.tip, DOT - 0.6),
  );
  return markup`<g><text class="axis-label strong" x="${MARGIN.left}" y="${px(top + 13)}">${name}</text><line class="grid" x1="${px(x.range[0])}" x2="${px(x.range[1])}" y1="${px(base)}" y2="${px(base)}"/>${marks}</g>`;
}
