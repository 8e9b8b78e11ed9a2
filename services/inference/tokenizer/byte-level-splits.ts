/**
 * How GGUF's byte-level BPE tokenizers cut text before merging, by the name in `tokenizer.ggml.pre`. The file carries only the
 * name; the rules are those of each model's published tokenizer.json. A name that is not here is refused: a wrong cut gives
 * wrong ids that look right.
 */
import { GPT2_SPLIT, isolate } from './token-codec.js';

export interface ByteLevelRules {
  /** Applied in order, each to the pieces of the one before. */
  readonly splits: readonly string[];
  readonly normalizer: object | null;
  /** A piece that is a token as a whole is taken without merging. */
  readonly ignoreMerges: boolean;
  /** Whether raw text starts with BOS where the file does not say. */
  readonly addBos: boolean;
}

const CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const LINES_AND_SPACES = '\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';

/** The split that GPT-4 brought in, with numbers in groups of at most `digits`. */
const gpt4Split = (digits: string): string =>
  `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|${LINES_AND_SPACES}`;

/** Words that change case inside are cut (GPT-4o, Mistral's Tekken). */
const casedSplit = (contractions: string, digits: string): string => {
  const upper = '[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]';
  const lower = '[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]';
  const lead = '[^\\r\\n\\p{L}\\p{N}]?';
  const words = `${lead}${upper}*${lower}+${contractions}|${lead}${upper}+${lower}*${contractions}`;
  return `${words}|\\p{N}${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|${LINES_AND_SPACES}`;
};

const rules = (splits: readonly string[], more: Partial<ByteLevelRules> = {}): ByteLevelRules => ({
  splits,
  normalizer: null,
  ignoreMerges: false,
  addBos: false,
  ...more,
});

const GPT2 = rules([GPT2_SPLIT]);
const SINGLE_DIGITS = rules(['\\p{N}', GPT2_SPLIT]);
const LLAMA3 = rules([gpt4Split('{1,3}')], { ignoreMerges: true, addBos: true });
const QWEN2 = rules([gpt4Split('')], { normalizer: { type: 'NFC' } });
/** What llama.cpp does for files that were made before the name existed. */
const UNNAMED = rules(['[\\p{P}\\$\\+<=>\\^~\\|]+', GPT2_SPLIT, '\\p{N}+', '[0-9][0-9][0-9]']);

const RULES: Readonly<Record<string, ByteLevelRules>> = {
  default: UNNAMED,
  'gpt-2': GPT2,
  'phi-2': GPT2,
  olmo: GPT2,
  smollm: SINGLE_DIGITS,
  starcoder: SINGLE_DIGITS,
  refact: SINGLE_DIGITS,
  'command-r': SINGLE_DIGITS,
  'llama-bpe': LLAMA3,
  llama3: LLAMA3,
  'llama-v3': LLAMA3,
  'smaug-bpe': rules([gpt4Split('{1,3}')]),
  dbrx: rules([gpt4Split('{1,3}')]),
  qwen2: QWEN2,
  'deepseek-r1-qwen': QWEN2,
  'gpt-4o': rules([casedSplit(`${CONTRACTIONS}?`, '{1,3}')]),
  tekken: rules([casedSplit('', '')], { ignoreMerges: true, addBos: true }),
};

export const BYTE_LEVEL_NAMES: readonly string[] = Object.keys(RULES);

/** The rules of a pre-tokenizer name; undefined for a name that is not known. */
export const findByteLevelRules = (name: string | undefined): ByteLevelRules | undefined => {
  const key = name ?? 'default';
  return Object.hasOwn(RULES, key) ? RULES[key] : undefined;
};

/** The rules as a pre-tokenizer of tokenizer.json. */
export const buildByteLevelPreTokenizer = ({ splits }: ByteLevelRules): object => ({
  type: 'Sequence',
  pretokenizers: [
    ...splits.map(isolate),
    { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
  ],
});
