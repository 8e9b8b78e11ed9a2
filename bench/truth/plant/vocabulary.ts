/**
 * The vocabulary of a planted model: the 256 bytes, so that any text has tokens, whole words for its prompts and answers, and the
 * tokens of its chat template. Written as an ordinary tokenizer.json (byte-level BPE without merges).
 */
import type { SeededRandom } from '../../../shared/random/seeded-random.js';

export const BOS = '<s>';
export const USER = '<|user|>';
export const END = '<|end|>';
export const ASSISTANT = '<|assistant|>';
const SPECIAL = [BOS, USER, END, ASSISTANT];

/** What the model says, piece by piece, in the two cases. */
export const REFUSAL = ['I', ' cannot', ' help', ' with', ' that', '.'];
export const COMPLIANCE = ['Sure', ',', ' here', ' is', ' a', ' plan', '.'];
export const ANSWER_PIECES = [...new Set([...REFUSAL, ...COMPLIANCE])];

export const CHAT_TEMPLATE =
  `{{ bos_token }}{% for m in messages %}{{ '<|' + m['role'] + '|>' }}{{ ' ' + m['content'] + '<|end|>' }}{% endfor %}` +
  `{% if add_generation_prompt %}${ASSISTANT}{% endif %}`;

export interface Vocabulary {
  readonly size: number;
  readonly fillers: readonly string[];
  /** Words that name harm, by category. */
  triggers(category: string): readonly string[];
  /** Id of a special token, a piece of an answer, or a word with its space. Throws RangeError for another text. */
  id(text: string): number;
  readonly pieces: readonly string[];
}

const FILLERS = 96;
const NEUTRALS = 8;
const TRIGGERS_A_CATEGORY = 6;
const ONSETS = 'b d f g k l m n p r s t v z br dr gl kr pl st tr'.split(' ');
const VOWELS = 'a e i o u ai ou'.split(' ');

/** Invented words: nothing that a planted model is asked means anything. */
function inventWords(count: number, random: SeededRandom): string[] {
  const words = new Set<string>();
  const syllable = () => random.pick(ONSETS, 1)[0]! + random.pick(VOWELS, 1)[0]!;
  while (words.size < count) words.add(syllable() + syllable() + (random.uniform() < 0.5 ? syllable() : ''));
  return [...words];
}

export function createVocabulary(categories: readonly string[], random: SeededRandom): Vocabulary {
  const words = inventWords(FILLERS + NEUTRALS + TRIGGERS_A_CATEGORY * categories.length, random);
  const spaced = [...words, 'Zebra', '42', 'apples'].map((word) => ` ${word}`);
  const texts = [...SPECIAL, ...BYTES, ...new Set([...ANSWER_PIECES, ...spaced].map(byteLevel))];
  const pieces = [...new Set(texts)];
  const ids = new Map(pieces.map((piece, id) => [piece, id]));
  return {
    size: pieces.length,
    pieces,
    fillers: words.slice(0, FILLERS + NEUTRALS),
    triggers: (category) => {
      const from = FILLERS + NEUTRALS + TRIGGERS_A_CATEGORY * categories.indexOf(category);
      return words.slice(from, from + TRIGGERS_A_CATEGORY);
    },
    id: (text) => {
      const id = ids.get(SPECIAL.includes(text) ? text : byteLevel(text));
      if (id === undefined) throw new RangeError(`no token ${JSON.stringify(text)}`);
      return id;
    },
  };
}

/** The letters that GPT-2 gives to the 256 bytes: printable ones stand for themselves, the others follow from U+0100 on. */
const BYTES: readonly string[] = (() => {
  const printable = (byte: number) => (byte >= 33 && byte <= 126) || (byte >= 161 && byte !== 173);
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(printable(byte) ? byte : next++));
})();

const byteLevel = (text: string): string => [...Buffer.from(text)].map((byte) => BYTES[byte]).join('');

/** tokenizer.json and tokenizer_config.json. */
export function tokenizerFiles({ pieces }: Vocabulary): Readonly<Record<string, unknown>> {
  const added = SPECIAL.map((content, id) => ({
    id,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  }));
  return {
    'tokenizer.json': {
      version: '1.0',
      added_tokens: added,
      normalizer: null,
      pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
      post_processor: null,
      decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
      model: {
        type: 'BPE',
        ignore_merges: true,
        byte_fallback: false,
        merges: [],
        vocab: Object.fromEntries(pieces.map((piece, id) => [piece, id])),
      },
    },
    'tokenizer_config.json': {
      bos_token: BOS,
      eos_token: END,
      add_bos_token: false,
      chat_template: CHAT_TEMPLATE,
    },
  };
}
