import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { ggufSpec } from '../../../services/inference/model/gguf-model.js';
import { openModel } from '../../../services/inference/model/open-model.js';
import { isFault } from '../../../shared/errors/fault.js';
import { openGguf } from '../../../shared/tensor-files/gguf.js';
import { modelFixtures } from './compare-model.js';

const folder = mkdtempSync(join(tmpdir(), 'gguf-model-'));
afterAll(() => rmSync(folder, { recursive: true }));
const path = join(folder, 'changed.gguf');

/** Opens a copy of a fixture whose bytes were changed. */
const openChanged = (model: string, change: (bytes: Buffer) => void): string => {
  const bytes = readFileSync(join(modelFixtures, model, 'model.gguf'));
  change(bytes);
  writeFileSync(path, bytes);
  try {
    openModel(path).weights.close();
  } catch (thrown) {
    if (isFault(thrown)) return `${thrown.code}: ${thrown.message}`;
    throw thrown;
  }
  return 'no fault';
};

const rename = (from: string, to: string) => (bytes: Buffer) => {
  bytes.write(to, bytes.indexOf(from));
};
/** A scalar stands behind its key and four bytes of type. */
const setNumber = (key: string, value: number) => (bytes: Buffer) => {
  bytes.writeUInt32LE(value, bytes.indexOf(key) + key.length + 4);
};
const setFloat = (key: string, value: number) => (bytes: Buffer) => {
  bytes.writeFloatLE(value, bytes.indexOf(key) + key.length + 4);
};

describe('GGUF metadata that do not make a model are refused by key', () => {
  it.each([
    [
      'a missing key',
      'llama3',
      rename('llama.block_count', 'llama.block_xxxxx'),
      'TENSOR_FILE_CORRUPT',
      '"llama.block_count" is "missing"',
    ],
    [
      'no layers',
      'llama3',
      setNumber('llama.block_count', 0),
      'TENSOR_FILE_CORRUPT',
      '"llama.block_count" is 0; it must be a positive number',
    ],
    [
      'layers beyond reason',
      'llama3',
      setNumber('llama.block_count', 1001),
      'TENSOR_FILE_CORRUPT',
      'it must be an integer of at most 1000',
    ],
    [
      'more layers than tensors',
      'llama3',
      setNumber('llama.block_count', 9),
      'TENSOR_NOT_FOUND',
      '"model.layers.2.self_attn.q_proj.weight" [32, 32]',
    ],
    [
      'heads that do not divide',
      'qwen2',
      setNumber('qwen2.attention.head_count_kv', 3),
      'TENSOR_FILE_CORRUPT',
      'it must divide the 4 heads',
    ],
    [
      'an odd head',
      'qwen3',
      setNumber('qwen3.attention.key_length', 15),
      'TENSOR_FILE_CORRUPT',
      'the width of an attention head is 15',
    ],
    [
      'another width',
      'gemma2',
      setNumber('gemma2.feed_forward_length', 33),
      'SHAPE_MISMATCH',
      "is [32, 24]; the model's numbers give [33, 24]",
    ],
    [
      'an epsilon that is not a number',
      'qwen2',
      setFloat('qwen2.attention.layer_norm_rms_epsilon', Number.NaN),
      'TENSOR_FILE_CORRUPT',
      'is NaN; it must be a positive number',
    ],
    [
      'another RoPE scaling',
      'gemma3',
      rename('linear', 'longro'),
      'TENSOR_FILE_UNSUPPORTED',
      '"rope.scaling.type" is "longro"',
    ],
    [
      'frequencies for other heads',
      'llama3',
      setNumber('llama.attention.key_length', 16),
      'TENSOR_FILE_CORRUPT',
      '"rope_freqs.weight" is "4 values"; it must hold 8 positive ones',
    ],
    [
      'a missing norm',
      'gemma3',
      rename('blk.3.post_ffw_norm', 'blk.3.post_xxx_norm'),
      'TENSOR_NOT_FOUND',
      '"model.layers.3.post_feedforward_layernorm.weight" [24]',
    ],
  ] as const)('%s', (_, model, change, code, text) => {
    const message = openChanged(model, change);
    expect(message.startsWith(`${code}: ${path}`)).toBe(true);
    expect(message).toContain(text);
  });

  it('the same file, unchanged, is a model', () => {
    expect(openChanged('llama3', () => {})).toBe('no fault');
  });
});

describe('numbers that GGUF leaves out are those of llama.cpp', () => {
  it('a 27B Gemma 2 scales queries by d / heads, told by its 46 layers', () => {
    openChanged('gemma2', setNumber('gemma2.block_count', 46));
    const file = openGguf(path);
    expect(ggufSpec(file).queryScale).toBeCloseTo((24 / 4) ** -0.5, 12);
    file.close();
  });
});
