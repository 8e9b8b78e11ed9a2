/**
 * What the tokenizer library does not check of a tokenizer.json and this project must know before any text goes through it: that each
 * pattern can be read, and that the steps together do not blow a text up. Prevents wrong ids without an error, and a prompt that becomes
 * gigabytes.
 */
import type { TokenizerJson } from './chat-tokenizer.js';

/** A text may become this many times as long at most. SentencePiece definitions come to 8, byte-level ones to 2. */
const MAX_EXPANSION = 256;

type Part = Readonly<Record<string, unknown>>;

/** Throws an Error that says which part it is. */
export const assertDefinition = ({ normalizer, pre_tokenizer, decoder }: TokenizerJson): void => {
  for (const [name, part] of Object.entries({ normalizer, pre_tokenizer, decoder })) {
    const parts = partsIn(part);
    for (const one of parts) assertPattern(one, name);
    const expansion = parts.reduce((product, one) => product * expansionOf(one), 1);
    if (expansion > MAX_EXPANSION)
      throw new Error(`the ${name} makes a text up to ${expansion} times as long; at most ${MAX_EXPANSION} is read`);
  }
};

/** All objects of a definition, at every depth. */
const partsIn = (value: unknown): Part[] =>
  typeof value === 'object' && value !== null ? [value as Part, ...Object.values(value).flatMap(partsIn)] : [];

/** The library passes over a pattern that it cannot read, with a warning and other ids. */
const assertPattern = ({ pattern }: Part, name: string): void => {
  if (pattern === undefined) return;
  const { Regex, String: literal } = Object(pattern) as { Regex?: unknown; String?: unknown };
  if (typeof (Regex ?? literal) !== 'string')
    throw new Error(`a pattern of the ${name} is neither a Regex nor a String`);
};

/** A byte may become a character of two; a replacement may stand between any two characters. */
const expansionOf = ({ type, content, prepend, replacement }: Part): number => {
  if (type === 'ByteLevel') return 2;
  const put = [content, prepend, replacement].find((text) => typeof text === 'string') as string | undefined;
  return 1 + (put?.length ?? 0);
};
