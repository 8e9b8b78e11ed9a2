import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ChatTokenizer } from '../../../services/inference/tokenizer/chat-tokenizer.js';
import { buildMerges } from '../../../services/inference/tokenizer/sentence-pieces.js';
import { parseSentencePieceModel } from '../../../services/inference/tokenizer/sentencepiece-model.js';
import { createTokenizerFromFolder } from '../../../services/inference/tokenizer/tokenizer-from-folder.js';
import { createTokenizerFromGguf } from '../../../services/inference/tokenizer/tokenizer-from-gguf.js';
import { asByteLevelGguf, asSentencePieceGguf, fixtureFolder, fixtures, folderWith } from './tokenizer-fixtures.js';

/** Every text with its ids and its way back, so that a failure shows which text differs. */
const expectIds = (
  tokenizer: ChatTokenizer,
  texts: readonly string[],
  ids: readonly number[][],
  decoded: readonly string[],
  compared = (text: string) => text,
) => {
  expect(texts.length).toBeGreaterThan(25);
  texts.forEach((text, index) => {
    expect({ text, ids: tokenizer.encode(text) }).toEqual({ text, ids: ids[index] });
    const back = compared(tokenizer.decode(ids[index]!));
    expect({ text, decoded: back }).toEqual({ text, decoded: compared(decoded[index]!) });
  });
};

/** A byte order mark that was spelled in byte tokens is lost on the way back (the library's decoder drops it); ids keep it. */
const withoutMark = (text: string) => text.replaceAll('\uFEFF', '');

describe.each(fixtures.byte_level)('byte-level BPE with the split of $pre', (row) => {
  it('gives the ids of the Python library from tokenizer.json', async () => {
    const folder = folderWith({ 'tokenizer.json': row.tokenizer_json });
    expectIds(await createTokenizerFromFolder(folder), fixtures.texts, row.ids, row.decoded);
  });

  it('gives the same ids from GGUF metadata', () => {
    expectIds(createTokenizerFromGguf(asByteLevelGguf(row)), fixtures.texts, row.ids, row.decoded);
  });
});

describe.each(fixtures.sentence_piece)('SentencePiece: $file', (row) => {
  const source = readFileSync(join(fixtureFolder, row.file));

  it('gives the ids of the SentencePiece library from tokenizer.model', async () => {
    const tokenizer = await createTokenizerFromFolder(folderWith({ 'tokenizer.model': source }));
    expectIds(tokenizer, row.texts, row.ids, row.decoded, withoutMark);
  });
});

const recorded = fixtures.sentence_piece.filter(({ pieces }) => pieces);

it.each(recorded)('$file is read piece by piece: text, score, type', (row) => {
  const parsed = parseSentencePieceModel(readFileSync(join(fixtureFolder, row.file)), row.file);
  expect(parsed.pieces).toEqual(row.pieces);
  expect(parsed.scores).toEqual(row.scores);
  expect(parsed.types).toEqual(row.types);
});

// GGUF has no word for the removal of spaces, so the trimmed model cannot come from it.
it.each(recorded.filter(({ file }) => file !== 'spm-bpe-trimmed.model'))(
  '$file gives the same ids from GGUF metadata',
  (row) => {
    expectIds(createTokenizerFromGguf(asSentencePieceGguf(row)), row.texts, row.ids, row.decoded, withoutMark);
  },
);

it('merges rebuilt from a real vocabulary of 32,000 pieces are those of transformers, in order', () => {
  const merges = buildMerges(
    parseSentencePieceModel(readFileSync(join(fixtureFolder, 'mistral-v1.model')), 'mistral-v1'),
  );
  expect(merges).toHaveLength(fixtures.mistral_merges.count);
  const text = merges.map((merge) => merge.join(' ')).join('\n');
  expect(createHash('sha256').update(text).digest('hex')).toBe(fixtures.mistral_merges.sha256);
});
