/**
 * The tokenizer of a Hugging Face folder: tokenizer.json, else tokenizer.model; with the special tokens and the chat template of
 * tokenizer_config.json, chat_template.jinja and generation_config.json.
 */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fault, isFault } from '../../../shared/errors/fault.js';
import type { AddedToken, ChatTokenizer, TokenizerDefinition, TokenizerJson } from './chat-tokenizer.js';
import { createChatTokenizer, type TokenizerOptions } from './create-chat-tokenizer.js';
import { buildSentencePieceJson } from './sentence-pieces.js';
import { parseSentencePieceModel } from './sentencepiece-model.js';

type JsonObject = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The largest tokenizer.json in use (Gemma 3) has 33 MB. */
const MAX_FILE_BYTES = 256 << 20;

const readOptional = async (folder: string, name: string): Promise<Buffer | undefined> => {
  try {
    const { size } = await stat(join(folder, name));
    if (size > MAX_FILE_BYTES)
      throw fault('TENSOR_FILE_CORRUPT', `${join(folder, name)} has ${size} bytes; at most ${MAX_FILE_BYTES} are read`);
    return await readFile(join(folder, name));
  } catch (cause) {
    if (isFault(cause)) throw cause;
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw fault('FILE_NOT_FOUND', `${join(folder, name)} cannot be read: ${(cause as Error).message}`, { cause });
  }
};

const readJson = async (folder: string, name: string): Promise<JsonObject | undefined> => {
  const bytes = await readOptional(folder, name);
  if (!bytes) return undefined;
  const corrupt = (what: string) => fault('TENSOR_FILE_CORRUPT', `${join(folder, name)} ${what}`);
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw corrupt(`is not JSON: ${(cause as Error).message}`);
  }
  if (!isObject(value)) throw corrupt('is not a JSON object');
  return value;
};

const isAddedToken = (token: unknown): token is AddedToken =>
  isObject(token) && typeof token.content === 'string' && Number.isInteger(token.id) && (token.id as number) >= 0;

const completeJson = (found: JsonObject, path: string): TokenizerJson => {
  if (!isObject(found.model) || !(isObject(found.model.vocab) || Array.isArray(found.model.vocab)))
    throw fault('TENSOR_FILE_CORRUPT', `${path} has no model with a vocabulary`);
  const parts = { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null };
  const added_tokens = found.added_tokens ?? [];
  if (!Array.isArray(added_tokens) || !added_tokens.every(isAddedToken))
    throw fault('TENSOR_FILE_CORRUPT', `${path}: added_tokens is no list of tokens, each with a content and an id`);
  return { ...parts, ...found, added_tokens } as unknown as TokenizerJson;
};

/** Tokens that tokenizer_config.json adds to a tokenizer.model. */
const addedByConfig = (config: JsonObject): AddedToken[] =>
  Object.entries(isObject(config.added_tokens_decoder) ? config.added_tokens_decoder : {}).flatMap(([id, token]) =>
    isObject(token) && typeof token.content === 'string' ? [{ ...token, content: token.content, id: Number(id) }] : [],
  );

const readTokenizerJson = async (folder: string, config: JsonObject): Promise<TokenizerJson> => {
  const found = await readJson(folder, 'tokenizer.json');
  if (found) return completeJson(found, join(folder, 'tokenizer.json'));
  const model = await readOptional(folder, 'tokenizer.model');
  if (!model) throw fault('FILE_NOT_FOUND', `${folder} holds neither tokenizer.json nor tokenizer.model`);
  const built = buildSentencePieceJson(parseSentencePieceModel(model, join(folder, 'tokenizer.model')));
  const known = new Set(built.added_tokens.map(({ content }) => content));
  return {
    ...built,
    added_tokens: [...built.added_tokens, ...addedByConfig(config).filter(({ content }) => !known.has(content))],
  };
};

const contentOf = (token: unknown): string | undefined => {
  const content = isObject(token) ? token.content : token;
  return typeof content === 'string' ? content : undefined;
};

const readSpecialTokens = (config: JsonObject): Record<string, string> =>
  Object.fromEntries(
    ['bos_token', 'eos_token', 'unk_token', 'pad_token'].flatMap((name) => {
      const content = contentOf(config[name]);
      return content === undefined ? [] : [[name, content]];
    }),
  );

const findTokenId = ({ added_tokens, model }: TokenizerJson, content: string | undefined): number | undefined => {
  if (content === undefined) return undefined;
  const added = added_tokens.find((token) => token.content === content);
  if (added) return added.id;
  if (Array.isArray(model.vocab))
    return model.vocab.findIndex((row: unknown) => Array.isArray(row) && row[0] === content);
  return Object.hasOwn(model.vocab, content) ? (model.vocab as Record<string, number>)[content] : undefined;
};

/** The template of a config that has one or, by name, several. */
const templateIn = (value: unknown): string | undefined => {
  if (typeof value === 'string') return value;
  if (!Array.isArray(value)) return undefined;
  const named = value.filter(isObject).find(({ name }) => name === 'default');
  return typeof named?.template === 'string' ? named.template : undefined;
};

const idsIn = (value: unknown): number[] => [value].flat().filter((id): id is number => Number.isInteger(id));

/** The config's own word; else a post-processor decides, and SentencePiece models, which have none, start with BOS. */
const readAddBos = (config: JsonObject, { model, post_processor }: TokenizerJson): boolean | undefined => {
  if (typeof config.add_bos_token === 'boolean') return config.add_bos_token;
  return post_processor === null && 'byte_fallback' in model && model.byte_fallback === true ? true : undefined;
};

/** Faults: FILE_NOT_FOUND, TENSOR_FILE_CORRUPT, TENSOR_FILE_UNSUPPORTED. */
export const readFolderDefinition = async (folder: string): Promise<TokenizerDefinition> => {
  const config = (await readJson(folder, 'tokenizer_config.json')) ?? {};
  const tokenizerJson = await readTokenizerJson(folder, config);
  const generation = (await readJson(folder, 'generation_config.json')) ?? (await readJson(folder, 'config.json'));
  const specialTokens = readSpecialTokens(config);
  const eosId = findTokenId(tokenizerJson, specialTokens.eos_token);
  return {
    tokenizerJson,
    bosId: findTokenId(tokenizerJson, specialTokens.bos_token),
    eosIds: [...(eosId === undefined ? [] : [eosId]), ...idsIn(generation?.eos_token_id)],
    addBos: readAddBos(config, tokenizerJson),
    chatTemplate:
      (await readOptional(folder, 'chat_template.jinja'))?.toString('utf8') ?? templateIn(config.chat_template),
    specialTokens,
  };
};

export const createTokenizerFromFolder = async (folder: string, options?: TokenizerOptions): Promise<ChatTokenizer> =>
  createChatTokenizer(await readFolderDefinition(folder), options);
