/** Owns point markers: series differ by shape and fill as well as by colour, so that no chart depends on colour alone. */
import { type Markup, markup } from '../../text/markup.js';
import { px } from './chart-frame.js';

/** 'none': a line that is said by its legend alone. */
export type MarkerShape = 'circle' | 'ring' | 'square' | 'diamond' | 'cross' | 'none';

/** One marker centred on (x, y); `tone` is a class that gives the colour; `tip` is what is said about the point. */
export function marker(shape: MarkerShape, x: number, y: number, tone: string, tip: string, size = 4): Markup {
  return markup`<g class="mark ${tone} ${shape}">${shapeOf(shape, x, y, size)}<title>${tip}</title></g>`;
}

function shapeOf(shape: MarkerShape, x: number, y: number, size: number): Markup {
  if (shape === 'circle' || shape === 'ring') return markup`<circle cx="${px(x)}" cy="${px(y)}" r="${px(size)}"/>`;
  if (shape === 'square')
    return markup`<rect x="${px(x - size)}" y="${px(y - size)}" width="${px(size * 2)}" height="${px(size * 2)}"/>`;
  if (shape === 'diamond') {
    const reach = size * 1.3;
    return markup`<path d="M${px(x)} ${px(y - reach)}L${px(x + reach)} ${px(y)}L${px(x)} ${px(y + reach)}L${px(x - reach)} ${px(y)}Z"/>`;
  }
  if (shape === 'none') return markup``;
  return markup`<path d="M${px(x - size)} ${px(y - size)}L${px(x + size)} ${px(y + size)}M${px(x - size)} ${px(y + size)}L${px(x + size)} ${px(y - size)}"/>`;
}
