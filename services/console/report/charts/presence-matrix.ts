/** Owns the matrix of features against prompts: which sets share what. Rows and columns arrive sorted. */
import { type Markup, markup } from '../../text/markup.js';
import { type ChartText, chartFrame, emptyChart, px } from './chart-frame.js';

export interface PresenceMatrixSpec extends ChartText {
  readonly rows: readonly { readonly name: string; readonly note: string }[];
  readonly columns: readonly string[];
  readonly rowsLabel: string;
  readonly columnsLabel: string;
  /** Whether a row's feature is in a column's set; with a tone to tell kinds apart, and a tip. */
  readonly cell: (row: number, column: number) => { readonly tone: string; readonly tip: string } | undefined;
}

const CELL = 16;
const CHARACTER = 6.7;
const TOP = 22;

export function presenceMatrix(spec: PresenceMatrixSpec): Markup {
  const { rows, columns } = spec;
  if (rows.length === 0 || columns.length === 0) return emptyChart(`${spec.title}: no set was found.`);
  const longest = (texts: readonly string[]): number => Math.max(...texts.map((text) => text.length));
  const left = Math.max(70, longest(rows.map(({ name }) => name)) * CHARACTER + 12);
  const right = left + columns.length * CELL;
  const noteWide = longest(rows.map(({ note }) => note)) * CHARACTER + 12;
  const bottom = TOP + rows.length * CELL;
  const footer = longest(columns) * CHARACTER + 28;
  const size = { width: Math.max(right + noteWide, 300), height: bottom + footer };
  return chartFrame(spec, size, [
    markup`<text class="axis-label" x="4" y="13">${spec.rowsLabel}</text>`,
    ...rows.map((row, index) => rowMarks(row, index, left, right)),
    ...columns.map((column, index) => columnMarks(column, left + index * CELL, bottom)),
    ...rows.flatMap((_, row) => columns.map((__, column) => dot(spec, row, column, left))),
    markup`<text class="axis-label" text-anchor="start" x="${px(left)}" y="${px(size.height - 6)}">${spec.columnsLabel}</text>`,
  ]);
}

function rowMarks({ name, note }: { name: string; note: string }, row: number, left: number, right: number): Markup {
  const middle = TOP + row * CELL + CELL / 2;
  return markup`<text class="tick-text id" text-anchor="end" x="${px(left - 6)}" y="${px(middle + 4)}">${name}</text><line class="grid" x1="${px(left)}" x2="${px(right)}" y1="${px(middle)}" y2="${px(middle)}"/><text class="tick-text" x="${px(right + 6)}" y="${px(middle + 4)}">${note}</text>`;
}

function columnMarks(name: string, x: number, bottom: number): Markup {
  const middle = x + CELL / 2;
  return markup`<line class="grid" x1="${px(middle)}" x2="${px(middle)}" y1="${TOP}" y2="${px(bottom)}"/><text class="tick-text id" text-anchor="end" transform="translate(${px(middle + 4)} ${px(bottom + 6)}) rotate(-90)">${name}</text>`;
}

function dot(spec: PresenceMatrixSpec, row: number, column: number, left: number): Markup | string {
  const cell = spec.cell(row, column);
  if (!cell) return '';
  return markup`<g><title>${cell.tip}</title><circle class="dot ${cell.tone}" cx="${px(left + column * CELL + CELL / 2)}" cy="${px(TOP + row * CELL + CELL / 2)}" r="5.5"/></g>`;
}
