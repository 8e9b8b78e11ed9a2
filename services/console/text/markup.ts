/**
 * Owns the step from text to HTML: a template tag that escapes every value unless it is already markup.
 * Prevents a prompt, a feature label or an id from becoming a tag, an attribute or a reading order of its own.
 */

/** Text that is known to be HTML: made by `markup` alone. */
export class Markup {
  constructor(readonly text: string) {}
  toString(): string {
    return this.text;
  }
}

/** What a template may hold. Arrays are joined; null, undefined and booleans leave nothing. */
export type MarkupValue = Markup | string | number | bigint | boolean | null | undefined | readonly MarkupValue[];

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
  '`': '&#96;',
};

// Control characters, halves of characters and bidirectional overrides: they show nothing themselves, but can hide or reorder what stands beside them.
const UNSAFE_INVISIBLE = /[\p{Cc}\p{Cs}\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c]/gu;
const isPlainSpace = (character: string): boolean => character === '\n' || character === '\t';

/** Text made safe inside an element or a quoted attribute. Invisible control characters become U+FFFD. */
export function escapeText(text: string): string {
  return text
    .replace(UNSAFE_INVISIBLE, (character) => (isPlainSpace(character) ? character : '\ufffd'))
    .replace(/[&<>"'`]/g, (character) => ENTITIES[character]!);
}

function valueText(value: MarkupValue): string {
  if (value === null || value === undefined || typeof value === 'boolean') return '';
  if (value instanceof Markup) return value.text;
  if (Array.isArray(value)) return value.map(valueText).join('');
  return escapeText(String(value));
}

/** Template tag: markup`<b>${anything}</b>`. Attribute values must stand in double quotes. */
export function markup(strings: TemplateStringsArray, ...values: readonly MarkupValue[]): Markup {
  return new Markup(strings.reduce((text, part, index) => text + valueText(values[index - 1]) + part));
}
