import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { describe, expect, it } from 'vitest';
import { parseSentencePieceModel } from '../../../services/inference/tokenizer/sentencepiece-model.js';
import { createTokenizerFromFolder } from '../../../services/inference/tokenizer/tokenizer-from-folder.js';
import { createTokenizerFromGguf } from '../../../services/inference/tokenizer/tokenizer-from-gguf.js';
import { asByteLevelGguf, fixtureFolder, fixtures, folderWith } from './tokenizer-fixtures.js';

const row = fixtures.byte_level[0]!;

describe('a folder', () => {
  const { model: _model, ...withoutModel } = row.tokenizer_json;
  it.each([
    ['holds no tokenizer', {}, 'FILE_NOT_FOUND', /neither tokenizer\.json nor tokenizer\.model/],
    ['has JSON cut short', { 'tokenizer.json': '{"model": {' }, 'TENSOR_FILE_CORRUPT', /tokenizer\.json is not JSON/],
    ['has a list for JSON', { 'tokenizer.json': '[]' }, 'TENSOR_FILE_CORRUPT', /is not a JSON object/],
    ['has no model', { 'tokenizer.json': withoutModel }, 'TENSOR_FILE_CORRUPT', /no model with a vocabulary/],
    [
      'uses a part that does not exist',
      { 'tokenizer.json': { ...row.tokenizer_json, decoder: { type: 'Nonsense' } } },
      'TENSOR_FILE_UNSUPPORTED',
      /cannot be built.*Nonsense/,
    ],
    [
      'has a damaged tokenizer.model',
      { 'tokenizer.model': Buffer.from([10, 200, 1, 2]) },
      'TENSOR_FILE_CORRUPT',
      /not a sound/,
    ],
  ])('that %s gives a clear fault', async (_name, files, code, text) => {
    const run = createTokenizerFromFolder(folderWith(files as Record<string, object>));
    await expect(run).rejects.toMatchObject({ code, message: expect.stringMatching(text) });
  });
});

describe('GGUF metadata', () => {
  const gguf = asByteLevelGguf(row);
  it.each([
    [
      'an unknown pre-tokenizer',
      { ...gguf, pre: 'of-tomorrow' },
      'TENSOR_FILE_UNSUPPORTED',
      /"of-tomorrow".*known: .*llama-bpe/,
    ],
    ['a name from Object', { ...gguf, pre: 'constructor' }, 'TENSOR_FILE_UNSUPPORTED', /"constructor"/],
    ['an unknown kind', { ...gguf, model: 'bert' }, 'TENSOR_FILE_UNSUPPORTED', /kind "bert".*gpt2.*llama/],
    ['no merges', { ...gguf, merges: undefined }, 'TENSOR_FILE_CORRUPT', /tokenizer\.ggml\.merges/],
    ['no scores', { ...gguf, model: 'llama' }, 'TENSOR_FILE_CORRUPT', /tokenizer\.ggml\.scores/],
  ])('with %s gives a clear fault', (_name, source, code, text) => {
    expect(() => createTokenizerFromGguf(source)).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(text) }),
    );
  });

  it('a vocabulary with the names of Object’s own properties is only a vocabulary', () => {
    const tokens = gguf.tokens.with(300, '__proto__').with(301, 'constructor');
    const tokenizer = createTokenizerFromGguf({ ...gguf, tokens });
    expect(tokenizer.decode([300, 301])).toBe('__proto__constructor');
  });
});

describe('tokenizer.model', () => {
  const piece = new BinaryWriter()
    .tag(1, WireType.LengthDelimited)
    .bytes(new Uint8Array([10, 1, 97]))
    .finish();
  const modelOf = (type: number) => [
    ...piece,
    ...new BinaryWriter()
      .tag(2, WireType.LengthDelimited)
      .bytes(new Uint8Array([24, type]))
      .finish(),
  ];
  const withTable = [
    ...modelOf(2),
    ...new BinaryWriter()
      .tag(3, WireType.LengthDelimited)
      .bytes(new Uint8Array([18, 2, 1, 1]))
      .finish(),
  ];

  it.each([
    ['a unigram model', modelOf(1), /a unigram model.*tokenizer\.json/],
    ['a char model', modelOf(4), /a char model/],
    ['a normalization table', withTable, /a normalization table/],
  ])('with %s is refused', (_name, bytes, text) => {
    expect(() => parseSentencePieceModel(new Uint8Array(bytes), 'x.model')).toThrow(
      expect.objectContaining({ code: 'TENSOR_FILE_UNSUPPORTED', message: expect.stringMatching(text) }),
    );
  });

  it('cut at any byte gives pieces or a fault, never another error', () => {
    const whole = readFileSync(join(fixtureFolder, 'spm-bpe-plain.model'));
    for (let length = 0; length < whole.length; length += 7) {
      try {
        expect(parseSentencePieceModel(whole.subarray(0, length), 'cut.model').pieces.length).toBeGreaterThan(0);
      } catch (thrown) {
        expect(thrown).toMatchObject({ name: 'Fault', code: expect.stringMatching(/^TENSOR_FILE_/) });
      }
    }
  });
});
