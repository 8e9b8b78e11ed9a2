/**
 * The tokenizer data of a GGUF file, checked for consistency: a list of scores or types that is shorter than the vocabulary, or a
 * special id outside of it, would otherwise show up as wrong tokens much later.
 */
import type { GgufFile } from './gguf.js';
import { corruptFile } from './tensor-file-faults.js';

export interface GgufTokenizer {
  /** gpt2 (BPE on bytes), llama (SentencePiece), ... */
  readonly model: string;
  /** Name of the pre-tokenizer, for BPE. */
  readonly pre: string | undefined;
  /** Token texts by id. */
  readonly tokens: readonly string[];
  /** BPE merges in order of rank, "left right". */
  readonly merges: readonly string[] | undefined;
  readonly scores: readonly number[] | undefined;
  /** By id: 1 normal, 2 unknown, 3 control, 4 user defined, 5 unused, 6 byte. */
  readonly tokenTypes: readonly number[] | undefined;
  readonly bosId: number | undefined;
  readonly eosId: number | undefined;
  readonly unknownId: number | undefined;
  readonly paddingId: number | undefined;
  readonly addBos: boolean | undefined;
  readonly addEos: boolean | undefined;
  readonly addSpacePrefix: boolean | undefined;
  /** Jinja source. */
  readonly chatTemplate: string | undefined;
}

const key = (name: string): string => `tokenizer.ggml.${name}`;

/** Faults: TENSOR_FILE_CORRUPT when there is no vocabulary or its parts do not fit together. */
export const readGgufTokenizer = (file: GgufFile): GgufTokenizer => {
  const model = file.text(key('model'));
  const tokens = file.texts(key('tokens'));
  if (model === undefined || !tokens?.length)
    throw corruptFile(
      file.path,
      'the tokenizer',
      'absent',
      'tokenizer.ggml.model and tokenizer.ggml.tokens are needed',
    );
  const scores = file.numbers(key('scores'));
  const tokenTypes = file.numbers(key('token_type'));
  for (const [name, list] of [
    ['scores', scores],
    ['token_type', tokenTypes],
  ] as const)
    if (list && list.length !== tokens.length)
      throw corruptFile(
        file.path,
        `the length of ${key(name)}`,
        list.length,
        `the vocabulary has ${tokens.length} tokens`,
      );
  const id = (name: string): number | undefined => {
    const value = file.number(key(`${name}_token_id`));
    if (value !== undefined && !(Number.isInteger(value) && value >= 0 && value < tokens.length))
      throw corruptFile(file.path, key(`${name}_token_id`), value, `ids must be below ${tokens.length}`);
    return value;
  };
  return {
    model,
    pre: file.text(key('pre')),
    tokens,
    merges: file.texts(key('merges')),
    scores,
    tokenTypes,
    bosId: id('bos'),
    eosId: id('eos'),
    unknownId: id('unknown'),
    paddingId: id('padding'),
    addBos: file.flag(key('add_bos_token')),
    addEos: file.flag(key('add_eos_token')),
    addSpacePrefix: file.flag(key('add_space_prefix')),
    chatTemplate: file.text('tokenizer.chat_template'),
  };
};
