/**
 * The one door to @huggingface/tokenizers: text to ids and back. It also sets right two places where that library departs
 * from the reference implementation, so that ids are those the model was trained on.
 */
import { Tokenizer } from '@huggingface/tokenizers';
import { fault } from '../../../shared/errors/fault.js';
import { assertDefinition } from './assert-definition.js';
import type { TokenizerJson } from './chat-tokenizer.js';

export interface TokenCodec {
  encode(text: string): number[];
  /** With what the post-processor adds (BOS, say). */
  encodeWithSpecials(text: string): number[];
  decode(ids: readonly number[], skipSpecial: boolean): string;
  /** Whether the id is a special or added token rather than a piece of text. */
  isAdded(id: number): boolean;
  readonly vocabSize: number;
}

/** The split of GPT-2, which a ByteLevel pre-tokenizer with `use_regex` stands for. */
export const GPT2_SPLIT = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/** A pre-tokenizer that cuts out each match of a pattern. */
export const isolate = (regex: string) => ({
  type: 'Split',
  pattern: { Regex: regex },
  behavior: 'Isolated',
  invert: false,
});

type PreTokenizer = Record<string, unknown>;

/**
 * The library's own ByteLevel split and Digits use JavaScript's \s and \d, which differ from Unicode white space (U+0085,
 * U+FEFF) and numbers (all but ASCII); its Split does not. So the same rules are written as Split.
 */
const withUnicodeClasses = (config: PreTokenizer): PreTokenizer => {
  if (config.type === 'Sequence' && Array.isArray(config.pretokenizers))
    return { ...config, pretokenizers: (config.pretokenizers as PreTokenizer[]).map(withUnicodeClasses) };
  if (config.type === 'Digits') return isolate(config.individual_digits ? '\\p{N}' : '\\p{N}+');
  if (config.type !== 'ByteLevel' || config.use_regex === false || config.add_prefix_space) return config;
  return { type: 'Sequence', pretokenizers: [isolate(GPT2_SPLIT), { ...config, use_regex: false }] };
};

const checkIds = (ids: readonly number[], vocabSize: number): number[] => {
  const bad = ids.find((id) => !(Number.isInteger(id) && id >= 0 && id < vocabSize));
  if (bad !== undefined)
    throw fault(
      'REQUEST_INVALID',
      `Token id ${bad} is outside the vocabulary: ids are integers from 0 to ${vocabSize - 1}`,
    );
  return [...ids];
};

const buildTokenizer = (definition: TokenizerJson): Tokenizer => {
  assertDefinition(definition);
  const { pre_tokenizer } = definition;
  const exact = { ...definition, pre_tokenizer: pre_tokenizer && withUnicodeClasses(pre_tokenizer as PreTokenizer) };
  return new Tokenizer(exact, { clean_up_tokenization_spaces: false });
};

/** The library checks a definition only as far as a text leads it through: what it then throws is the file's fault as well. */
const ofDefinition = <Value>(action: string, run: () => Value): Value => {
  try {
    return run();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw fault('TENSOR_FILE_UNSUPPORTED', `The tokenizer cannot ${action} its definition: ${reason}`, { cause });
  }
};

/** A piece that has no id, or a wrong one, would only show in the model. */
const assertKnown = (ids: readonly number[], vocabSize: number): number[] => {
  const at = ids.findIndex((id) => !(Number.isInteger(id) && id >= 0 && id < vocabSize));
  if (at < 0) return [...ids];
  throw fault(
    'TENSOR_FILE_CORRUPT',
    `The tokenizer gives a piece of the text the id ${ids[at]}; its vocabulary has ids from 0 to ${vocabSize - 1}. Fetch its files again.`,
  );
};

/** Faults: TENSOR_FILE_UNSUPPORTED when the definition uses a part that the library does not know, now or with a text that needs it. */
export const createTokenCodec = (definition: TokenizerJson): TokenCodec => {
  const tokenizer = ofDefinition('be built from', () => buildTokenizer(definition));
  const vocabSize = tokenizer.model!.vocab.length;
  const added = new Set(definition.added_tokens.map(({ id }) => id));
  const encode = (text: string, withSpecials: boolean): number[] => {
    const { ids } = ofDefinition('encode with', () => tokenizer.encode(text, { add_special_tokens: withSpecials }));
    return assertKnown(ids, vocabSize);
  };
  return {
    encode: (text) => encode(text, false),
    encodeWithSpecials: (text) => encode(text, true),
    decode: (ids, skipSpecial) => {
      const known = checkIds(ids, vocabSize);
      if (known.length === 0) return '';
      return ofDefinition('decode with', () => tokenizer.decode(known, { skip_special_tokens: skipSpecial }));
    },
    isAdded: (id) => added.has(id),
    vocabSize,
  };
};
