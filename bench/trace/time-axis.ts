/** From times to places on the picture, and the grid that says which. */
import { linearScale, niceTicks } from '../../services/console/report/charts/linear-scale.js';
import { type Markup, markup } from '../../services/console/text/markup.js';
import type { Interval } from './fold-spans.js';
import { PLOT_LEFT, PLOT_RIGHT } from './picture-style.js';

const TICKS = 9;
/** Narrower bars could not be seen. */
const LEAST_WIDTH = 0.7;

export interface TimeAxis {
  x(ms: number): number;
  /** One path for all bars of a row; those that touch at this size are one. Times outside the window are cut off. */
  bars(intervals: readonly Interval[], top: number, height: number): string;
  /** Lines from `top` to `bottom`, with their times above. */
  grid(top: number, bottom: number): Markup;
}

export const createTimeAxis = (window: Interval): TimeAxis => {
  const scale = linearScale([window.startMs, window.endMs], [PLOT_LEFT, PLOT_RIGHT]);
  const x = (ms: number): number => Math.min(PLOT_RIGHT, Math.max(PLOT_LEFT, scale(ms)));
  const ticks = niceTicks([window.startMs, window.endMs], TICKS);
  const isLong = window.endMs - window.startMs > 3_000;
  const textOf = (ms: number): string => (isLong ? `${Number((ms / 1000).toFixed(2))} s` : `${ms} ms`);
  return {
    x,
    bars: (intervals, top, height) =>
      joined(intervals.map(({ startMs, endMs }) => [x(startMs), Math.max(x(endMs), x(startMs) + LEAST_WIDTH)] as const))
        .map(([from, to]) => `M${round(from)} ${top}h${round(to - from)}v${height}h-${round(to - from)}z`)
        .join(''),
    grid: (top, bottom) =>
      markup`${ticks.map(
        (tick) =>
          markup`<path class="grid" d="M${round(x(tick))} ${top}V${bottom}"/><text class="soft" x="${round(x(tick))}" y="${top - 4}" text-anchor="middle">${textOf(tick)}</text>`,
      )}`,
  };
};

const joined = (bars: readonly (readonly [number, number])[]): (readonly [number, number])[] => {
  const result: (readonly [number, number])[] = [];
  for (const bar of [...bars].sort(([a], [b]) => a - b)) {
    const last = result.at(-1);
    if (last !== undefined && bar[0] <= last[1] + 0.15)
      result[result.length - 1] = [last[0], Math.max(last[1], bar[1])];
    else result.push(bar);
  }
  return result;
};

export const round = (pixels: number): number => Math.round(pixels * 10) / 10;
