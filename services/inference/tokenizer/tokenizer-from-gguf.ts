/** The tokenizer that a GGUF file carries: byte-level BPE (`gpt2` kind) or SentencePiece (`llama` kind). */
import { fault } from '../../../shared/errors/fault.js';
import type { GgufTokenizer } from '../../../shared/tensor-files/gguf-tokenizer.js';
import { BYTE_LEVEL_NAMES, buildByteLevelPreTokenizer, findByteLevelRules } from './byte-level-splits.js';
import type { ChatTokenizer, TokenizerDefinition, TokenizerJson } from './chat-tokenizer.js';
import { createChatTokenizer, type TokenizerOptions } from './create-chat-tokenizer.js';
import { buildAddedTokens, buildSentencePieceJson, PIECE } from './sentence-pieces.js';

const typesOf = (source: GgufTokenizer): readonly number[] =>
  source.tokenTypes ?? source.tokens.map(() => PIECE.normal);

const buildByteLevel = (source: GgufTokenizer): { json: TokenizerJson; addBos: boolean } => {
  const rules = findByteLevelRules(source.pre);
  if (!rules)
    throw fault(
      'TENSOR_FILE_UNSUPPORTED',
      `The GGUF file names the pre-tokenizer "${source.pre}", which is not known here; known: ${BYTE_LEVEL_NAMES.join(', ')}. Use the model's folder with tokenizer.json instead`,
    );
  if (!source.merges)
    throw fault('TENSOR_FILE_CORRUPT', 'The GGUF file has a gpt2 tokenizer but no tokenizer.ggml.merges');
  const model = {
    type: 'BPE',
    vocab: Object.fromEntries(source.tokens.map((token, id) => [token, id])),
    merges: source.merges,
    ignore_merges: rules.ignoreMerges,
  };
  const json = {
    added_tokens: buildAddedTokens(source.tokens, typesOf(source)),
    normalizer: rules.normalizer,
    pre_tokenizer: buildByteLevelPreTokenizer(rules),
    post_processor: null,
    decoder: { type: 'ByteLevel' },
    model,
  };
  return { json, addBos: rules.addBos };
};

const buildSentencePiece = (source: GgufTokenizer): { json: TokenizerJson; addBos: boolean } => {
  if (!source.scores)
    throw fault('TENSOR_FILE_CORRUPT', 'The GGUF file has a llama tokenizer but no tokenizer.ggml.scores');
  const json = buildSentencePieceJson({
    pieces: source.tokens,
    scores: source.scores,
    types: typesOf(source),
    addSpacePrefix: source.addSpacePrefix ?? true,
    removeExtraSpaces: false,
  });
  return { json, addBos: true };
};

const buildJson = (source: GgufTokenizer): { json: TokenizerJson; addBos: boolean } => {
  if (source.model === 'gpt2') return buildByteLevel(source);
  if (source.model === 'llama') return buildSentencePiece(source);
  throw fault(
    'TENSOR_FILE_UNSUPPORTED',
    `The GGUF file has a tokenizer of kind "${source.model}"; gpt2 (byte-level BPE) and llama (SentencePiece) are read`,
  );
};

export const buildGgufDefinition = (source: GgufTokenizer): TokenizerDefinition => {
  const { json, addBos } = buildJson(source);
  const named = {
    bos_token: source.bosId,
    eos_token: source.eosId,
    unk_token: source.unknownId,
    pad_token: source.paddingId,
  };
  const specialTokens = Object.fromEntries(
    Object.entries(named).flatMap(([name, id]) => (id === undefined ? [] : [[name, source.tokens[id]!]])),
  );
  return {
    tokenizerJson: json,
    bosId: source.bosId,
    eosIds: source.eosId === undefined ? [] : [source.eosId],
    addBos: source.addBos ?? addBos,
    chatTemplate: source.chatTemplate,
    specialTokens,
  };
};

/** Faults: TENSOR_FILE_UNSUPPORTED for a kind or pre-tokenizer that is not known, TENSOR_FILE_CORRUPT for missing lists. */
export const createTokenizerFromGguf = (source: GgufTokenizer, options?: TokenizerOptions): ChatTokenizer =>
  createChatTokenizer(buildGgufDefinition(source), options);
