/** Owns axes: the line, ticks, tick labels, and the label with its unit that every axis must carry. */
import { type Markup, markup } from '../../text/markup.js';
import { numberText } from '../../text/number-text.js';
import { px } from './chart-frame.js';
import { type LinearScale, tickDigits } from './linear-scale.js';

export interface AxisSpec {
  readonly scale: LinearScale;
  readonly ticks: readonly number[];
  /** With its unit, such as "refusal score (log-odds, nats)". */
  readonly label: string;
  /** Text of a tick; default: as many digits as tell the ticks apart. */
  readonly tickText?: (value: number) => string;
}

const textOf = ({ ticks, tickText }: AxisSpec): ((value: number) => string) =>
  tickText ?? ((value) => numberText(value, tickDigits(ticks)));

/** Below the plot, at height y (pixels). */
export function bottomAxis(spec: AxisSpec, y: number): Markup {
  const [left, right] = spec.scale.range;
  const text = textOf(spec);
  const tick = (value: number): Markup => {
    const x = px(spec.scale(value));
    return markup`<line class="tick" x1="${x}" x2="${x}" y1="${px(y)}" y2="${px(y + 4)}"/><text class="tick-text" text-anchor="middle" x="${x}" y="${px(y + 16)}">${text(value)}</text>`;
  };
  return markup`<g class="axis"><line class="axis-line" x1="${px(left)}" x2="${px(right)}" y1="${px(y)}" y2="${px(y)}"/>${spec.ticks.map(tick)}<text class="axis-label" text-anchor="middle" x="${px((left + right) / 2)}" y="${px(y + 33)}">${spec.label}</text></g>`;
}

/** Left of the plot, at x (pixels), with grid lines to `gridTo`. The label stands above the axis, level, so that it can be read. */
export function leftAxis(spec: AxisSpec, x: number, gridTo: number): Markup {
  const text = textOf(spec);
  const top = Math.min(...spec.scale.range);
  const tick = (value: number): Markup => {
    const y = px(spec.scale(value));
    return markup`<line class="grid" x1="${px(x)}" x2="${px(gridTo)}" y1="${y}" y2="${y}"/><text class="tick-text" text-anchor="end" x="${px(x - 6)}" y="${px(y + 4)}">${text(value)}</text>`;
  };
  return markup`<g class="axis">${spec.ticks.map(tick)}<text class="axis-label" x="${px(4)}" y="${px(top - 10)}">${spec.label}</text></g>`;
}
