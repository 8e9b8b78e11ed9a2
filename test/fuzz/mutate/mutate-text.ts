/** Mutations of text: pieces removed, repeated, moved, and words of a dictionary put in. */
import type { SeededRandom } from '../../../shared/random/seeded-random.js';
import { chance, EDGE_TEXTS, fewOf, one } from './edge-values.js';

type TextChange = (random: SeededRandom, text: string, words: readonly string[]) => string;

const insert: TextChange = (random, text, words) => {
  const at = random.below(text.length + 1);
  const word = words.length > 0 && chance(random, 0.7) ? one(random, words) : one(random, EDGE_TEXTS);
  return text.slice(0, at) + word + text.slice(at);
};

const remove: TextChange = (random, text) => {
  const at = random.below(text.length + 1);
  return text.slice(0, at) + text.slice(at + fewOf(random, 40));
};

const repeat: TextChange = (random, text) => {
  const at = random.below(text.length + 1);
  const piece = text.slice(at, at + fewOf(random, 40));
  return text.slice(0, at) + piece.repeat(fewOf(random, 30)) + text.slice(at);
};

const swap: TextChange = (random, text) => {
  const [a, b] = [random.below(text.length + 1), random.below(text.length + 1)];
  const length = fewOf(random, 40);
  return text.slice(0, a) + text.slice(b, b + length) + text.slice(a + length);
};

const character: TextChange = (random, text) => {
  const at = random.below(text.length + 1);
  return text.slice(0, at) + String.fromCharCode(random.below(chance(random, 0.7) ? 128 : 65_536)) + text.slice(at + 1);
};

const CHANGES: readonly TextChange[] = [insert, insert, remove, repeat, swap, character, character];
const MAX_CHARACTERS = 100_000;

export const mutateText = (
  random: SeededRandom,
  seed: string,
  words: readonly string[] = [],
  mostChanges = 4,
): string => {
  let text = seed;
  for (let left = fewOf(random, mostChanges); left > 0; left--) text = one(random, CHANGES)(random, text, words);
  return text.slice(0, MAX_CHARACTERS);
};
