import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ChatTokenizer } from '../../../services/inference/tokenizer/chat-tokenizer.js';
import { createStreamDecoder } from '../../../services/inference/tokenizer/stream-decoder.js';
import { createTokenizerFromFolder } from '../../../services/inference/tokenizer/tokenizer-from-folder.js';
import { fixtureFolder, fixtures, folderWith } from './tokenizer-fixtures.js';

const stream = (tokenizer: ChatTokenizer, ids: readonly number[], skipSpecial = false): string[] => {
  const decoder = createStreamDecoder(tokenizer, { skipSpecial });
  return [...ids.map((id) => decoder.push(id)), decoder.end()];
};

const byteLevel = () =>
  createTokenizerFromFolder(folderWith({ 'tokenizer.json': fixtures.byte_level[0]!.tokenizer_json }));
const sentencePiece = () =>
  createTokenizerFromFolder(folderWith({ 'tokenizer.model': readFileSync(join(fixtureFolder, 'mistral-v1.model')) }));

describe.each([
  ['byte-level BPE', byteLevel],
  ['SentencePiece with byte fallback', sentencePiece],
])('a token stream of %s', (_name, load) => {
  it('joins to the text of all ids, and no piece holds a broken character', async () => {
    const tokenizer = await load();
    for (const text of fixtures.texts) {
      const ids = tokenizer.encode(text);
      const pieces = stream(tokenizer, ids);
      expect(pieces.join('')).toBe(tokenizer.decode(ids));
      expect(pieces.join('')).not.toContain('\uFFFD');
    }
  });

  it('holds an emoji back until its last byte is there', async () => {
    const tokenizer = await load();
    const ids = tokenizer.encode('a\u{1FAE8}');
    const pieces = stream(tokenizer, ids);
    expect(ids.length).toBeGreaterThan(3); // the emoji is spelled in bytes
    expect(pieces.filter((piece) => piece !== '')).toEqual(['a', '\u{1FAE8}']);
    expect(pieces.at(-2)).toBe('\u{1FAE8}');
  });

  it('gives up on bytes that never make a character, without losing what follows', async () => {
    const tokenizer = await load();
    const emoji = tokenizer.encode('\u{1FAE8}').slice(0, -1);
    const ids = [...emoji, ...tokenizer.encode('ok then')];
    expect(stream(tokenizer, ids).join('')).toMatch(/^\uFFFD+ ?ok then$/);
    expect(stream(tokenizer, emoji).at(-1)).toMatch(/^\uFFFD+$/);
  });
});

it('special tokens are left out of a stream on demand', async () => {
  const tokenizer = await byteLevel();
  const ids = [1, ...tokenizer.encode('Hi there'), 2, ...tokenizer.encode(' you')];
  expect(stream(tokenizer, ids, true).join('')).toBe('Hi there you');
});
