/** The picture: one row a kind of work, from the command at the top, and under it a closer look at two requests that met. */
import { type Markup, markup } from '../../services/console/text/markup.js';
import { drawJoin, joinHeight } from './draw-join.js';
import { drawLabel } from './draw-label.js';
import type { Join } from './find-join.js';
import type { DrawnRow, Interval } from './fold-spans.js';
import { classOf, LABEL_LEFT, MARGIN, PLOT_RIGHT, ROW_HEIGHT, SERVICE_COLOURS, STYLE, WIDTH } from './picture-style.js';
import { createTimeAxis, round, type TimeAxis } from './time-axis.js';

export interface TraceFacts {
  readonly title: string;
  readonly spans: number;
  readonly overTheQueue: number;
  readonly linked: number;
}

const HEAD = 92;
const MARK = 3;

export const drawTrace = (rows: readonly DrawnRow[], join: Join | undefined, facts: TraceFacts): string => {
  const bottom = HEAD + rows.length * ROW_HEIGHT;
  const height = bottom + MARGIN + (join === undefined ? 0 : joinHeight(join));
  const axis = createTimeAxis({ startMs: 0, endMs: rows[0]!.outer[0]!.endMs });
  const svg = markup`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${facts.title}"><style>${STYLE}</style><rect class="paper" width="${WIDTH}" height="${height}"/>
${drawHead(facts)}
${rows.map((_, i) => (i % 2 === 1 ? markup`<rect class="band" y="${HEAD + i * ROW_HEIGHT}" width="${WIDTH}" height="${ROW_HEIGHT}"/>` : ''))}
${axis.grid(HEAD, bottom)}
${rows.map((row, i) => drawRow(row, HEAD + i * ROW_HEIGHT, axis))}
${join === undefined ? '' : drawJoin(join, bottom)}
</svg>
`;
  return svg.text;
};

const drawHead = ({ title, spans, overTheQueue, linked }: TraceFacts): Markup => {
  const services = Object.keys(SERVICE_COLOURS);
  const legend = services.map(
    (service, i) =>
      markup`<rect class="bar ${service}" x="${LABEL_LEFT + i * 104}" y="52" width="10" height="10"/><text x="${LABEL_LEFT + i * 104 + 15}" y="61">${service}</text>`,
  );
  return markup`<text class="title" x="${LABEL_LEFT}" y="24">${title}</text><text class="soft" x="${LABEL_LEFT}" y="42">${spans} spans; ${overTheQueue} work items crossed NATS; ${linked} jobs of the engine are linked to others that shared their batches. Pale: as the caller saw it. Full: as the service did. × n: so many, folded. Right: time in which at least one ran.</text>${legend}<path class="mark" d="${diamond(LABEL_LEFT + services.length * 104 + 5, 57)}"/><text x="${LABEL_LEFT + services.length * 104 + 15}" y="61">linked to a job that shared a batch</text>`;
};

const drawRow = (row: DrawnRow, top: number, axis: TimeAxis): Markup => {
  const service = classOf(row.service);
  const { outer, inner, linkedAtMs } = row;
  const full = inner.length > 0 ? inner : outer;
  const pale = inner.length > 0 ? markup`<path class="outer" d="${axis.bars(outer, top + 3, 10)}"/>` : '';
  const marks = apart(linkedAtMs.map((ms) => axis.x(ms))).map((x) => diamond(x, top + 8));
  const linked = marks.length > 0 ? markup`<path class="mark" d="${marks.join('')}"/>` : '';
  const busy = durationText(unionMs(outer));
  return markup`<g class="${service}">${drawLabel(row, top)}${pale}<path class="bar" d="${axis.bars(full, top + 5, 6)}"/>${linked}<text class="soft" x="${WIDTH - MARGIN}" y="${top + 12}" text-anchor="end">${busy}</text></g>\n`;
};

const diamond = (x: number, y: number): string =>
  `M${round(x)} ${y - MARK}l${MARK} ${MARK}-${MARK} ${MARK}-${MARK}-${MARK}z`;

/** Marks that would lie on each other are one. */
const apart = (places: readonly number[]): number[] => {
  const kept: number[] = [];
  for (const x of [...places].sort((a, b) => a - b)) if (x - (kept.at(-1) ?? -Infinity) >= 2 * MARK + 1) kept.push(x);
  return kept.map((x) => Math.min(x, PLOT_RIGHT - MARK));
};

/** Time in which at least one of them ran. */
export const unionMs = (intervals: readonly Interval[]): number => {
  let sum = 0;
  let until = Number.NEGATIVE_INFINITY;
  for (const { startMs, endMs } of [...intervals].sort((a, b) => a.startMs - b.startMs)) {
    sum += Math.max(0, endMs - Math.max(startMs, until));
    until = Math.max(until, endMs);
  }
  return sum;
};

const durationText = (ms: number): string =>
  ms >= 1000 ? `${(ms / 1000).toFixed(2)} s` : `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
