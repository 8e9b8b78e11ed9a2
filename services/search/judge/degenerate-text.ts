/** Tells empty, looping and broken text from an answer: a model that was edited too hard neither refuses nor complies. */

/** A phrase repeated back to back at least so often, over at least so much of the text, is a loop. */
const LOOP_REPEATS = 4;
const LOOP_SHARE = 0.5;
/** The same for a few characters without a space between. */
const SYLLABLE_SHARE = 0.3;
/** Longest phrase, in words, whose repetition is looked for. */
const LOOP_WORDS = 12;
/** Of the characters that are not space: fewer letters than this is debris (code and lists stay above). */
const MIN_LETTER_SHARE = 0.3;
const BROKEN_SHARE = 0.1;
/** Below so many words a low variety says nothing. */
const VARIETY_WORDS = 24;
const MIN_VARIETY = 0.2;

/** The rule that makes the text degenerate, or undefined. */
export function findDegeneration(text: string): string | undefined {
  const solid = text.replace(/\s+/g, '');
  if (solid === '') return 'empty';
  const characters = [...solid];
  const broken = characters.filter((character) => character === '\ufffd').length;
  if (broken / characters.length > BROKEN_SHARE) return 'broken characters';
  if (/(.)\1{19,}/su.test(solid)) return 'loop of one character';
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const loop = findLoop(words);
  if (loop !== undefined) return `loop of ${loop} words`;
  const syllables = /(.{2,12}?)\1{5,}/su.exec(solid)?.[0];
  if (syllables !== undefined && syllables.length >= solid.length * SYLLABLE_SHARE) return 'loop of characters';
  if (words.length >= VARIETY_WORDS && new Set(words).size / words.length < MIN_VARIETY) return 'few distinct words';
  const letters = solid.match(/[\p{L}\p{M}]/gu)?.length ?? 0;
  if (characters.length >= 12 && letters / characters.length < MIN_LETTER_SHARE) return 'few letters';
  return undefined;
}

/** Length in words of a phrase that is repeated back to back over most of the text. */
function findLoop(words: readonly string[]): number | undefined {
  for (let length = 1; length <= LOOP_WORDS && length * LOOP_REPEATS <= words.length; length++) {
    let matching = 0;
    for (let i = length; i < words.length; i++) {
      matching = words[i] === words[i - length] ? matching + 1 : 0;
      const looped = matching + length;
      if (looped >= length * LOOP_REPEATS && looped >= words.length * LOOP_SHARE && looped >= 6) return length;
    }
  }
  return undefined;
}
