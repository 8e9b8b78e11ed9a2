/** The closer look: each span as a bar, the way over NATS as dashed lines, the link between the two jobs as a full one. */
import { type Markup, markup } from '../../services/console/text/markup.js';
import { drawLabel } from './draw-label.js';
import type { Join, JoinRow } from './find-join.js';
import { classOf, LABEL_LEFT, MARGIN, ROW_HEIGHT } from './picture-style.js';
import { createTimeAxis, round, type TimeAxis } from './time-axis.js';

const HEAD = 64;
const GAP = 8;

const rowCount = ({ sides }: Join): number => sides.reduce((sum, rows) => sum + rows.length, 0);

export const joinHeight = (join: Join): number => HEAD + rowCount(join) * ROW_HEIGHT + GAP + MARGIN;

export const drawJoin = (join: Join, top: number): Markup => {
  const axis = createTimeAxis(join.window);
  const [first = [], second = []] = join.sides;
  const firstTop = top + HEAD;
  const secondTop = firstTop + first.length * ROW_HEIGHT + GAP;
  const placed = [...placeRows(first, firstTop), ...placeRows(second, secondTop)];
  return markup`<text class="title" x="${LABEL_LEFT}" y="${top + 24}">A closer look: two requests to the queue that met in the engine</text><text class="soft" x="${LABEL_LEFT}" y="${top + 42}">Dashed: an item on its way over NATS. Orange: the link between two jobs that shared a batch.</text>
${axis.grid(firstTop, secondTop + second.length * ROW_HEIGHT)}
${placed.map(({ row, at }) => drawRow(row, at, axis))}
${drawWays(placed, axis)}${drawLink(placed, axis)}`;
};

interface Placed {
  readonly row: JoinRow;
  readonly at: number;
}

const placeRows = (rows: readonly JoinRow[], top: number): Placed[] =>
  rows.map((row, i) => ({ row, at: top + i * ROW_HEIGHT }));

const drawRow = (row: JoinRow, top: number, axis: TimeAxis): Markup =>
  markup`<g class="${classOf(row.service)}">${drawLabel(row, top)}<path class="bar" d="${axis.bars([row], top + 4, 8)}"/></g>\n`;

/** From each request to the item under it, there and back. */
const drawWays = (placed: readonly Placed[], axis: TimeAxis): Markup => {
  const ways = placed.flatMap(({ row, at }, i) => {
    const next = placed[i + 1];
    if (row.end !== 'producer' || next === undefined) return [];
    const [from, to] = [at + 12, next.at + 4];
    const there = `M${round(axis.x(row.startMs))} ${from}L${round(axis.x(next.row.startMs))} ${to}`;
    return [there, `M${round(axis.x(next.row.endMs))} ${to}L${round(axis.x(row.endMs))} ${from}`];
  });
  return markup`<path class="queue" d="${ways.join('')}"/>`;
};

/** Between the middles of what both jobs have in common. */
const drawLink = (placed: readonly Placed[], axis: TimeAxis): Markup => {
  const jobs = placed.filter(({ row }) => row.label.startsWith('engine '));
  const [one, other] = jobs;
  if (one === undefined || other === undefined) return markup``;
  const from = Math.max(one.row.startMs, other.row.startMs);
  const to = Math.min(one.row.endMs, other.row.endMs);
  const x = round(axis.x((from + to) / 2));
  return markup`<path class="link" d="M${x} ${one.at + 12}V${other.at + 4}"/><circle class="mark" cx="${x}" cy="${one.at + 8}" r="3"/><circle class="mark" cx="${x}" cy="${other.at + 8}" r="3"/>`;
};
