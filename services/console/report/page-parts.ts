/** Owns the parts that sections share: a section with its heading, a figure with its caption, a key figure, names of features. */
import { type Markup, type MarkupValue, markup } from '../text/markup.js';

export interface Section {
  /** The anchor. */
  readonly id: string;
  readonly title: string;
  readonly body: Markup;
}

/** A chart in a frame that scrolls when the chart is wider than the page. */
export const figure = (chart: MarkupValue, caption: MarkupValue, name: string): Markup =>
  markup`<figure><div class="scroll" tabindex="0" role="region" aria-label="${name}">${chart}</div><figcaption>${caption}</figcaption></figure>`;

export const featureName = (name: string): Markup => markup`<span class="id">${name}</span>`;

export const featureNames = (names: readonly string[]): Markup =>
  markup`${names.map((name, index) => markup`${index > 0 && ', '}${featureName(name)}`)}`;

export interface KeyFigure {
  readonly name: string;
  readonly big: string;
  /** The denominator, or what the figure is of. */
  readonly of: string;
}

export const keyFigures = (figures: readonly KeyFigure[]): Markup =>
  markup`<dl class="figures">${figures.map(
    ({ name, big, of }) => markup`<div><dt>${name}</dt><dd class="big">${big}</dd><dd class="of">${of}</dd></div>`,
  )}</dl>`;
