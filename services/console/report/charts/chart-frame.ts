/**
 * Owns the outer element of every chart: size, accessible name, and the rounding of coordinates.
 * Prevents a chart without a name for a screen reader, and a NaN in an attribute.
 */
import { type Markup, type MarkupValue, markup } from '../../text/markup.js';

export interface ChartSize {
  readonly width: number;
  readonly height: number;
}

export interface ChartText {
  /** What the chart shows, one phrase. */
  readonly title: string;
  /** What can be read from it, with numbers: what a person who cannot see it needs. */
  readonly description: string;
}

/** A coordinate with at most two decimals. A value that is not finite is a defect of the chart, not of the data. */
export function px(value: number): number {
  if (!Number.isFinite(value)) throw new RangeError(`a chart coordinate is ${value}: leave such points out beforehand`);
  return Math.round(value * 100) / 100;
}

/** Wraps chart parts into an SVG at its natural size in CSS pixels. */
export const chartFrame = (text: ChartText, { width, height }: ChartSize, body: MarkupValue): Markup =>
  markup`<svg class="chart" role="img" aria-label="${`${text.title}. ${text.description}`}" width="${px(width)}" height="${px(height)}" viewBox="0 0 ${px(width)} ${px(height)}">${body}</svg>`;

/** What stands in place of a chart without data. */
export const emptyChart = (why: string): Markup => markup`<p class="nothing">${why}</p>`;
