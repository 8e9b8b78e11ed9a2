/** Reads numbers back out of a chart's SVG, so that tests compare coordinates and not text. */

export interface Marks {
  readonly tag: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** Every element whose class list holds all the given words (or has this tag, if it begins with "<"). */
export function marksOf(svg: string, wanted: string): Marks[] {
  const words = wanted.split(' ');
  return [...svg.matchAll(/<([a-z]+)((?:\s[\w:-]+="[^"]*")*)\s*\/?>/g)]
    .map(([, tag = '', text = '']) => ({
      tag,
      attributes: Object.fromEntries(
        [...text.matchAll(/([\w:-]+)="([^"]*)"/g)].map(([, name, value]) => [name!, value!]),
      ),
    }))
    .filter(({ tag, attributes }) =>
      wanted.startsWith('<')
        ? `<${tag}` === wanted
        : words.every((word) => (attributes.class ?? '').split(' ').includes(word)),
    );
}

export const numberOf = (mark: Marks | undefined, name: string): number => Number(mark?.attributes[name]);

/** No coordinate of a sound chart is NaN, infinite or "undefined". */
export const hasBadNumber = (svg: string): boolean => /(NaN|Infinity|undefined)/.test(svg);
