import { afterAll, describe, expect, it } from 'vitest';
import { openGguf } from '../../../shared/tensor-files/gguf.js';
import { readGgufTokenizer } from '../../../shared/tensor-files/gguf-tokenizer.js';
import { buildGguf, ggufBytes, keyValue } from './gguf-bytes.js';
import { bits, expectedTensors, expectFault, fixtureBytes, fixturePath, tensorFolder } from './tensor-fixtures.js';

const file = openGguf(fixturePath('quants.gguf'));
const expected = expectedTensors('quants.gguf');
const scratch = tensorFolder();
afterAll(() => file.close());

describe('metadata written by the Python package', () => {
  it('comes back with its values and types', () => {
    expect(file.version).toBe(3);
    expect(file.text('general.architecture')).toBe('llama');
    expect(file.text('test.string')).toBe('naïve 🦙\n');
    expect(file.number('llama.block_count')).toBe(2);
    expect(file.number('test.int64')).toBe(-5);
    expect(file.number('test.int8')).toBe(-8);
    expect(file.number('test.uint16')).toBe(65535);
    expect(file.number('test.float64')).toBe(0.1);
    expect(file.number('test.float32')).toBe(0.5);
    expect(file.flag('test.bool')).toBe(true);
    expect(file.numbers('test.floats')).toEqual([0.5, -1.5]);
    expect(file.metadata.get('test.nested')).toEqual([[1, 2], [3]]);
  });

  it('keeps an integer that a number cannot hold as a bigint', () => {
    expect(file.metadata.get('test.uint64')).toBe(2n ** 53n + 1n);
  });

  it('gives undefined for an absent key and a fault for a key of another type', () => {
    expect(file.text('no.such.key')).toBeUndefined();
    expectFault(
      () => file.number('test.string'),
      'TENSOR_FILE_CORRUPT',
      /"test.string" is "a string".*must be a number/,
    );
    expectFault(() => file.texts('test.floats'), 'TENSOR_FILE_CORRUPT', /must be a list of strings/);
  });

  it('holds the tokenizer and the chat template', () => {
    expect(readGgufTokenizer(file)).toEqual({
      model: 'gpt2',
      pre: 'smollm',
      tokens: ['<s>', '</s>', 'a', 'b', 'Ġab'],
      merges: ['a b', 'Ġ ab'],
      scores: [0, 0, -1, -2, -3.5],
      tokenTypes: [3, 3, 1, 1, 1],
      bosId: 0,
      eosId: 1,
      unknownId: undefined,
      paddingId: undefined,
      addBos: false,
      addEos: undefined,
      addSpacePrefix: undefined,
      chatTemplate: '{% for m in messages %}{{ m.content }}{% endfor %}',
    });
  });
});

describe('tensors', () => {
  it.each([...expected.keys()])('%s is bit-exact against the Python package', (name) => {
    const { shape, values } = expected.get(name)!;
    expect(file.info(name).shape).toEqual(shape);
    expect(bits(file.readFloat32(name))).toEqual(bits(values));
  });

  it('covers every quantized type that is listed as readable', async () => {
    const { QUANTIZED_TYPES } = await import('../../../shared/tensor-files/ggml-dequantize.js');
    const covered = new Set([...expected.keys()].map((name) => file.info(name).dtype));
    expect(QUANTIZED_TYPES.filter((type) => !covered.has(type))).toEqual([]);
  });

  it.each([...expected.keys()])('%s gives any range of rows as a slice of the whole', (name) => {
    const { shape, values } = expected.get(name)!;
    const rowLength = values.length / shape[0]!;
    for (let start = 0; start <= shape[0]!; start++)
      for (let count = 0; start + count <= Math.min(shape[0]!, start + 40); count++)
        expect(bits(file.readFloat32(name, { start, count }))).toEqual(
          bits(values.slice(start * rowLength, (start + count) * rowLength)),
        );
  });

  it.each(['Q4_K.weight', 'F16.weight'])('%s gives columns one after the other', (name) => {
    const { shape, values } = expected.get(name)!;
    const [rows, width] = shape as [number, number];
    const columns = [width - 1, 0, 3, 3];
    const wanted = columns.flatMap((column) => Array.from({ length: rows }, (_, row) => values[row * width + column]!));
    expect([...file.readColumns(name, columns)]).toEqual(wanted);
  });

  it('propagates infinite and NaN scales instead of hiding them', () => {
    const path = scratch.write(
      'infinite.gguf',
      (() => {
        const bytes = buildGguf({ tensors: [{ dimensions: [32, 2], type: 8 }], dataBytes: 68 });
        bytes.writeUInt16LE(0x7c00, bytes.length - 68);
        bytes.writeInt8(-1, bytes.length - 68 + 2);
        bytes.writeUInt16LE(0x7e00, bytes.length - 34);
        return bytes;
      })(),
    );
    const opened = openGguf(path);
    const values = opened.readFloat32('t');
    opened.close();
    expect([values[0], values[1], values[32]]).toEqual([Number.NEGATIVE_INFINITY, Number.NaN, Number.NaN]);
  });

  it('are described by dtype, offset and length in the file', () => {
    const { dtype, offset, byteLength } = file.info('Q8_0.weight');
    expect({ dtype, byteLength }).toEqual({ dtype: 'Q8_0', byteLength: (3 * 512 * 34) / 32 });
    const scale = fixtureBytes('quants.gguf').readUInt16LE(offset);
    expect(scale & 0x7c00).not.toBe(0x7c00);
    expect(file.list().map(({ name }) => name)).toContain('I32.ids');
    expect(file.has('I32.ids')).toBe(true);
  });

  it('refuses a name, a range or a dtype that it cannot serve', () => {
    expectFault(
      () => file.info('output.weight'),
      'TENSOR_NOT_FOUND',
      /has no tensor "output.weight"; it has \d+, such as/,
    );
    expectFault(() => file.readFloat32('I32.ids'), 'TENSOR_FILE_UNSUPPORTED', /"I32".*Q4_0.*Q6_K/);
    expectFault(() => file.readFloat32('F16.weight', { start: 2, count: 2 }), 'REQUEST_INVALID', /Rows 2 to 4.*has 3/);
    expectFault(() => file.readFloat32('F16.weight', { start: -1, count: 1 }), 'REQUEST_INVALID', /has 3/);
    expectFault(() => file.readFloat32('F16.weight', { start: 0.5, count: 1 }), 'REQUEST_INVALID', /has 3/);
    expectFault(() => file.readColumns('F16.weight', [7]), 'REQUEST_INVALID', /Column 7.*has 7/);
    expectFault(() => file.readColumns('F32.cube', [0]), 'REQUEST_INVALID', /it is \[2,3,5\]/);
  });

  it('cannot be read once the file is closed', () => {
    const other = openGguf(fixturePath('quants.gguf'));
    other.close();
    other.close();
    expectFault(() => other.readFloat32('F16.weight'), 'INTERNAL', /after it was closed/);
  });
});

describe('tokenizers that do not fit together', () => {
  const { u32, u64, text } = ggufBytes;
  const strings = (...values: string[]) => Buffer.concat([u32(8), u64(values.length), ...values.map(text)]);
  const base = [
    keyValue('tokenizer.ggml.model', 8, text('gpt2')),
    keyValue('tokenizer.ggml.tokens', 9, strings('a', 'b')),
  ];
  const tokenizerOf = (...keys: Buffer[]) => {
    const opened = openGguf(scratch.write('tokenizer.gguf', buildGguf({ keys })));
    try {
      return readGgufTokenizer(opened);
    } finally {
      opened.close();
    }
  };

  it('are accepted when they fit (control)', () => {
    expect(tokenizerOf(...base).tokens).toEqual(['a', 'b']);
  });

  it('are refused when absent, too short, or with an id outside of the vocabulary', () => {
    expectFault(() => tokenizerOf(), 'TENSOR_FILE_CORRUPT', /tokenizer is "absent"/);
    const types = Buffer.concat([u32(5), u64(1), u32(1)]);
    expectFault(
      () => tokenizerOf(...base, keyValue('tokenizer.ggml.token_type', 9, types)),
      'TENSOR_FILE_CORRUPT',
      /token_type is 1; the vocabulary has 2 tokens/,
    );
    expectFault(
      () => tokenizerOf(...base, keyValue('tokenizer.ggml.bos_token_id', 4, u32(2))),
      'TENSOR_FILE_CORRUPT',
      /bos_token_id is 2; ids must be below 2/,
    );
  });
});
