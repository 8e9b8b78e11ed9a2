/** What stands to the left of a row: who works, at what, how often, and whether it goes over NATS. */
import { type Markup, markup } from '../../services/console/text/markup.js';
import { INDENT, LABEL_LEFT } from './picture-style.js';
import type { QueueEnd } from './span-words.js';

export interface Label {
  readonly service: string;
  readonly label: string;
  readonly depth: number;
  readonly end: QueueEnd;
  readonly count?: number;
  /** Spans under it that have no row. */
  readonly hidden?: number;
}

export const drawLabel = ({ service, label, depth, end, count = 1, hidden = 0 }: Label, top: number): Markup => {
  const way = end === 'producer' ? ' → NATS' : end === 'consumer' ? ' ← NATS' : '';
  const times = count > 1 ? ` × ${count}` : '';
  const under = hidden > 0 ? ` + ${hidden} under it` : '';
  return markup`<text x="${LABEL_LEFT + depth * INDENT}" y="${top + 12}"><tspan class="who">${service}</tspan> ${label}<tspan class="soft">${way}${times}${under}</tspan></text>`;
};
