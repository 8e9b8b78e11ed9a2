/** Owns tables: a caption, named columns, numbers aligned to the right, and the value by which the page's script sorts. */
import { type Markup, markup } from '../text/markup.js';
import { NOT_MEASURED } from '../text/number-text.js';

export interface Column<Row> {
  readonly title: string;
  readonly cell: (row: Row) => Markup | string | number;
  /** Aligns to the right and sorts by this value. */
  readonly value?: (row: Row) => number | null;
}

export interface TableSpec<Row> {
  readonly caption: string;
  /** The first one names the row. */
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  readonly sortable?: boolean;
}

/** An empty table is one sentence. */
export function dataTable<Row>({ caption, columns, rows, sortable = rows.length > 3 }: TableSpec<Row>): Markup {
  if (rows.length === 0) return markup`<p class="nothing">${caption}: none.</p>`;
  const head = columns.map(({ title, value }) => markup`<th scope="col"${value ? NUMBER : PLAIN}>${title}</th>`);
  const body = rows.map((row) => markup`<tr>${columns.map((column, index) => cellOf(column, row, index === 0))}</tr>`);
  const marks = sortable ? markup` data-sortable` : PLAIN;
  return markup`<div class="scroll table-frame" tabindex="0" role="region" aria-label="${caption}"><table${marks}><caption>${caption}</caption><thead><tr>${head}</tr></thead><tbody>${body}</tbody></table></div>`;
}

const PLAIN = markup``;
const NUMBER = markup` class="number"`;

function cellOf<Row>({ cell, value }: Column<Row>, row: Row, names: boolean): Markup {
  const content = cell(row);
  const text = content === '' ? NOT_MEASURED : content;
  const number = value?.(row);
  const sortKey = value ? markup` class="number" data-value="${number ?? Number.MIN_SAFE_INTEGER}"` : PLAIN;
  return names ? markup`<th scope="row"${sortKey}>${text}</th>` : markup`<td${sortKey}>${text}</td>`;
}
