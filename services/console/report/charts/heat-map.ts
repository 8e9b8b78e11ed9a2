/**
 * Owns the grid of values (layer x position): colour by sign and size, the selected cell framed, rejected cells struck through.
 * Cells are tinted over the page's own background by opacity, so that the same chart reads in light, dark and print.
 */
import { type Markup, markup } from '../../text/markup.js';
import { numberText } from '../../text/number-text.js';
import { type ChartText, chartFrame, emptyChart, px } from './chart-frame.js';

export interface HeatCell {
  /** Indices into columns and rows. */
  readonly column: number;
  readonly row: number;
  readonly value: number;
  readonly tip: string;
  readonly rejected: boolean;
  readonly selected: boolean;
}

export interface HeatMapSpec extends ChartText {
  readonly columns: readonly string[];
  readonly rows: readonly string[];
  readonly xLabel: string;
  readonly yLabel: string;
  /** Printed above the map and beside the colour key, with its unit. */
  readonly valueLabel: string;
  /** Colour strength is |value| / reach, cut off at 1: `reach` in value units, above 0. */
  readonly reach: number;
  /** CSS classes of values above and below zero. */
  readonly above: string;
  readonly below: string;
  readonly cells: readonly HeatCell[];
}

const CELL = 19;
const MARGIN = { top: 30, right: 10, bottom: 40, left: 44 };
const FAINTEST = 0.05;

/** Opacity of a cell in [FAINTEST, 1]; 0 for what is not a number. */
export function tintOf(value: number, reach: number): number {
  if (!Number.isFinite(value) || !(reach > 0)) return 0;
  const strength = Math.min(1, Math.abs(value) / reach);
  return Math.round((FAINTEST + (1 - FAINTEST) * strength) * 1000) / 1000;
}

/** The reach that shows most of the values: their 95th percentile by size, so that one outlier does not pale the rest. */
export function reachOf(values: readonly number[]): number {
  const sizes = values
    .filter(Number.isFinite)
    .map(Math.abs)
    .sort((first, second) => first - second);
  const reach = sizes[Math.floor((sizes.length - 1) * 0.95)] ?? 0;
  return reach > 0 ? reach : 1;
}

export function heatMap(spec: HeatMapSpec): Markup {
  if (spec.cells.length === 0) return emptyChart(`${spec.title}: nothing was measured.`);
  const bottom = MARGIN.top + spec.rows.length * CELL;
  const right = MARGIN.left + spec.columns.length * CELL;
  // The key stands right of the value's name: the map is never narrower than the two.
  const width = Math.max(right + MARGIN.right, 330);
  const selected = spec.cells.filter((cell) => cell.selected);
  return chartFrame(spec, { width, height: bottom + MARGIN.bottom }, [
    markup`<text class="axis-label strong" x="4" y="14">${spec.valueLabel}</text>`,
    colourKey(spec, width - MARGIN.right),
    ...spec.rows.map((row, index) => rowLabel(row, index)),
    ...spec.columns.map((column, index) => columnLabel(column, index, spec.columns.length, bottom)),
    ...spec.cells.map((cell) => cellMark(cell, spec)),
    ...selected.map(selectedFrame),
    markup`<text class="axis-label" text-anchor="middle" x="${px((MARGIN.left + right) / 2)}" y="${px(bottom + 33)}">${spec.xLabel}</text>`,
    markup`<text class="axis-label" transform="translate(11 ${px((MARGIN.top + bottom) / 2)}) rotate(-90)" text-anchor="middle">${spec.yLabel}</text>`,
  ]);
}

const left = (column: number): number => MARGIN.left + column * CELL;
const top = (row: number): number => MARGIN.top + row * CELL;

const rowLabel = (text: string, row: number): Markup =>
  markup`<text class="tick-text" text-anchor="end" x="${px(MARGIN.left - 6)}" y="${px(top(row) + CELL / 2 + 4)}">${text}</text>`;

/** With many columns only every second one is named: two digits at this cell width would touch. */
function columnLabel(text: string, column: number, columns: number, bottom: number): Markup | string {
  if (columns > 12 && column % 2 === 1) return '';
  return markup`<text class="tick-text" text-anchor="middle" x="${px(left(column) + CELL / 2)}" y="${px(bottom + 15)}">${text}</text>`;
}

function cellMark(cell: HeatCell, spec: HeatMapSpec): Markup {
  const x = left(cell.column) + 0.5;
  const y = top(cell.row) + 0.5;
  const size = CELL - 1;
  const tone = cell.value < 0 ? spec.below : spec.above;
  // A line of the page's colour on strong cells, of the text's on faint ones.
  const strikeTone = tintOf(cell.value, spec.reach) > 0.6 ? 'strike on-strong' : 'strike';
  const strike =
    cell.rejected &&
    markup`<path class="${strikeTone}" d="M${px(x + 4)} ${px(y + size - 4)}L${px(x + size - 4)} ${px(y + 4)}"/>`;
  return markup`<g><title>${cell.tip}</title><rect class="cell-back" x="${px(x)}" y="${px(y)}" width="${size}" height="${size}"/><rect class="cell ${tone}" fill-opacity="${tintOf(cell.value, spec.reach)}" x="${px(x)}" y="${px(y)}" width="${size}" height="${size}"/>${strike}</g>`;
}

const selectedFrame = ({ column, row }: HeatCell): Markup =>
  markup`<rect class="selected" x="${px(left(column) - 0.5)}" y="${px(top(row) - 0.5)}" width="${CELL + 1}" height="${CELL + 1}"/>`;

/** Steps from -reach to +reach (or 0 to reach, if nothing is below zero). */
function colourKey(spec: HeatMapSpec, right: number): Markup {
  const signed = spec.cells.some(({ value }) => value < 0);
  const steps = signed
    ? [-1, -0.75, -0.5, -0.25, 0.25, 0.5, 0.75, 1]
    : [0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1];
  const wide = 9;
  const start = right - steps.length * wide - 34;
  const cutOff = spec.cells.some(({ value }) => Math.abs(value) > spec.reach * 1.0001);
  const end = `${cutOff ? '≥' : ''}${numberText(spec.reach, spec.reach < 1 ? 2 : 1)}`;
  const swatch = (step: number, index: number): Markup =>
    markup`<rect class="cell ${step < 0 ? spec.below : spec.above}" fill-opacity="${tintOf(step, 1)}" x="${px(start + index * wide)}" y="5" width="${wide}" height="10"/>`;
  return markup`<g class="colour-key"><text class="tick-text" text-anchor="end" x="${px(start - 4)}" y="14">${signed ? `${cutOff ? '≤' : ''}${numberText(-spec.reach, spec.reach < 1 ? 2 : 1)}` : '0'}</text>${steps.map(swatch)}<text class="tick-text" x="${px(right - 30)}" y="14">${end}</text></g>`;
}
