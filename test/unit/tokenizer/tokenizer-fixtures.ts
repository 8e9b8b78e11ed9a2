/** What test/fixtures/tokenizer/make.py recorded from the reference implementations. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ChatMessage, TokenizerJson } from '../../../services/inference/tokenizer/chat-tokenizer.js';
import { projectRoot } from '../../../shared/project/root.js';
import type { GgufTokenizer } from '../../../shared/tensor-files/gguf-tokenizer.js';
import { scratchFolder } from '../../fixtures/scratch-folder.js';

interface ByteLevelRow {
  readonly pre: string;
  readonly tokenizer_json: TokenizerJson & {
    readonly model: { readonly vocab: Record<string, number>; readonly merges: readonly (string | string[])[] };
  };
  readonly ids: readonly number[][];
  readonly decoded: readonly string[];
  readonly with_specials: readonly number[];
}

interface SentencePieceRow {
  readonly file: string;
  readonly texts: readonly string[];
  readonly ids: readonly number[][];
  readonly decoded: readonly string[];
  readonly pieces?: readonly string[];
  readonly scores?: readonly number[];
  readonly types?: readonly number[];
}

interface Fixtures {
  readonly texts: readonly string[];
  readonly byte_level: readonly ByteLevelRow[];
  readonly sentence_piece: readonly SentencePieceRow[];
  readonly mistral_merges: { readonly count: number; readonly sha256: string };
  readonly templates: Readonly<Record<string, string>>;
  readonly chats: readonly {
    readonly template: string;
    readonly messages: readonly ChatMessage[];
    readonly text: string | null;
    readonly ids: readonly number[] | null;
  }[];
}

export const fixtureFolder = join(projectRoot, 'test/fixtures/tokenizer');
export const fixtures: Fixtures = JSON.parse(readFileSync(join(fixtureFolder, 'tokenizers.json'), 'utf8'));

/** A fresh folder with these files. */
export const folderWith = (files: Readonly<Record<string, string | Buffer | object>>): string => {
  const folder = scratchFolder('tokenizer');
  for (const [name, content] of Object.entries(files))
    writeFileSync(
      join(folder, name),
      typeof content === 'string' || Buffer.isBuffer(content) ? content : JSON.stringify(content),
    );
  return folder;
};

const bare = {
  pre: undefined,
  merges: undefined,
  scores: undefined,
  tokenTypes: undefined,
  bosId: undefined,
  eosId: undefined,
  unknownId: undefined,
  paddingId: undefined,
  addBos: undefined,
  addEos: undefined,
  addSpacePrefix: undefined,
  chatTemplate: undefined,
} satisfies Partial<GgufTokenizer>;

/** What a GGUF file made from that tokenizer.json carries: texts by id, merges, kinds, and the name of the pre-tokenizer. */
export const asByteLevelGguf = (row: ByteLevelRow): GgufTokenizer => {
  const { model, added_tokens } = row.tokenizer_json;
  const tokens: string[] = [];
  for (const [token, id] of Object.entries(model.vocab)) tokens[id] = token;
  const tokenTypes = tokens.map(() => 1);
  for (const { id, content, special } of added_tokens) {
    tokens[id] = content;
    tokenTypes[id] = special ? 3 : 4;
  }
  const merges = model.merges.map((merge) => (typeof merge === 'string' ? merge : merge.join(' ')));
  return { ...bare, model: 'gpt2', pre: row.pre, tokens, merges, tokenTypes, bosId: 0, eosId: 2 };
};

/** What a GGUF file made from that SentencePiece model carries. */
export const asSentencePieceGguf = (row: SentencePieceRow): GgufTokenizer => ({
  ...bare,
  model: 'llama',
  tokens: row.pieces!,
  scores: row.scores,
  tokenTypes: row.types,
  bosId: 1,
  eosId: 2,
  unknownId: 0,
  addSpacePrefix: row.file !== 'spm-bpe-plain.model',
});
