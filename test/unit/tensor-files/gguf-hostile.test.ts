import { describe, expect, it } from 'vitest';
import { openGguf } from '../../../shared/tensor-files/gguf.js';
import { buildGguf, type GgufSpec, ggufBytes, keyValue } from './gguf-bytes.js';
import { expectFault, fixtureBytes, tensorFolder } from './tensor-fixtures.js';

const { u32, u64, text } = ggufBytes;
const scratch = tensorFolder();
const open = (bytes: Uint8Array) => openGguf(scratch.write('hostile.gguf', bytes));
const array = (type: number, count: number | bigint, ...items: Uint8Array[]) =>
  Buffer.concat([u32(type), u64(count), ...items]);

it('the builder makes files that are read when nothing is wrong (control)', () => {
  const keys = [keyValue('general.alignment', 4, u32(32)), keyValue('k', 9, array(8, 2, text('a'), text('')))];
  const file = open(buildGguf({ keys, tensors: [{ name: 'a' }, { name: 'b', offset: 32 }], dataBytes: 48 }));
  expect(file.metadata.get('k')).toEqual(['a', '']);
  expect(file.list().map(({ name, shape }) => [name, shape])).toEqual([
    ['a', [4]],
    ['b', [4]],
  ]);
  file.close();
});

const corrupt: [what: string, spec: GgufSpec, text: RegExp][] = [
  ['a bad magic number', { magic: 'GGML' }, /magic number is "0x4c4d4747"; a GGUF file starts with "GGUF"/],
  [
    '2^64 - 1 tensors',
    { tensorCount: 2n ** 64n - 1n },
    /tensor count of the file is 18446744073709551615; it must be at most 0/,
  ],
  ['10 keys where there is none', { keyCount: 10 }, /key count of the file is 10; it must be at most 0/],
  ['a key count above the limit', { keyCount: 10_001, dataBytes: 200_000 }, /it must be at most 10000/],
  [
    'a key longer than the file',
    { keyCount: 1, keys: [u64(2n ** 40n), u32(8), u32(0), u32(0)] },
    /length of metadata key 0 is 1099511627776/,
  ],
  [
    'a key that is not UTF-8',
    { keys: [Buffer.concat([text(Uint8Array.of(0xff, 0xfe)), u32(7), Buffer.of(1)])] },
    /is "not UTF-8"/,
  ],
  [
    'a key given twice',
    { keys: [keyValue('k', 4, u32(1)), keyValue('k', 4, u32(2))] },
    /metadata "k" is "given twice"/,
  ],
  ['an unknown value type', { keys: [keyValue('k', 13, u32(0))] }, /type of metadata "k" is 13; types 0 to 12 exist/],
  [
    'a boolean of 2',
    { keys: [keyValue('k', 7, Buffer.of(2))], dataBytes: 8 },
    /metadata "k" is 2; a boolean must be 0 or 1/,
  ],
  [
    'an array of 2^60 bytes',
    { keys: [keyValue('k', 9, array(0, 2n ** 60n))] },
    /array length of metadata "k" is 1152921504606846976/,
  ],
  ['an array of an unknown type', { keys: [keyValue('k', 9, array(99, 0))] }, /array type of metadata "k" is 99/],
  [
    'an array 5 deep',
    { keys: [keyValue('k', 9, array(9, 1, array(9, 1, array(9, 1, array(9, 1, array(4, 0))))))] },
    /arrays may nest 4 deep/,
  ],
  [
    'a string longer than the file',
    { keys: [keyValue('k', 8, u64(1n << 50n))] },
    /length of metadata "k" is 1125899906842624/,
  ],
  [
    'an alignment of 0',
    { keys: [keyValue('general.alignment', 4, u32(0))] },
    /general.alignment is 0; it must be a power of two/,
  ],
  ['an alignment of 24', { keys: [keyValue('general.alignment', 4, u32(24))] }, /general.alignment is 24/],
  ['an alignment of 2^31', { keys: [keyValue('general.alignment', 4, u32(2 ** 31))] }, /up to 1048576/],
  [
    'an alignment that is a string',
    { keys: [keyValue('general.alignment', 8, text('32'))] },
    /general.alignment is "32"/,
  ],
  [
    '5 dimensions',
    { tensors: [{ dimensions: [1, 1, 1, 1, 1] }], dataBytes: 32 },
    /dimension count of tensor "t" is 5; at most 4/,
  ],
  ['a dimension of 2^63', { tensors: [{ dimensions: [2n ** 63n] }] }, /dimension of tensor "t" is 9223372036854775808/],
  [
    'dimensions whose product overflows',
    { tensors: [{ dimensions: [2 ** 31, 2 ** 31, 4] }] },
    /shape of tensor "t".*product must be below 2\^53/,
  ],
  [
    'a product of 2^64, which wraps to 0',
    { tensors: [{ dimensions: [2 ** 32, 2 ** 32] }] },
    /product must be below 2\^53/,
  ],
  [
    'rows that are no whole blocks',
    { tensors: [{ dimensions: [33], type: 3 }], dataBytes: 64 },
    /row length of tensor "t" is 33; Q4_1 needs a multiple of 32/,
  ],
  [
    'a misaligned offset',
    { tensors: [{ offset: 4 }], dataBytes: 64 },
    /offset of tensor "t" is 4; it must be a multiple of 32/,
  ],
  [
    'an offset of 2^63',
    { tensors: [{ offset: 2n ** 63n }], dataBytes: 64 },
    /offset of tensor "t" is 9223372036854775808/,
  ],
  [
    'an offset past the end',
    { tensors: [{ offset: 2 ** 40 }], dataBytes: 64 },
    /end of the data of tensor "t" is "byte 1099511627\d+"; the data ends at byte/,
  ],
  ['data that is cut short', { tensors: [{}], dataBytes: 15 }, /end of the data of tensor "t"/],
  [
    'overlapping tensors',
    {
      tensors: [
        { name: 'a', dimensions: [16] },
        { name: 'b', offset: 32 },
      ],
      dataBytes: 96,
    },
    /start of the data of tensor "b".*tensor "a" goes on to byte/,
  ],
  [
    'two tensors in one place',
    { tensors: [{ name: 'a' }, { name: 'b' }], dataBytes: 96 },
    /start of the data of tensor "b"/,
  ],
  ['a tensor name given twice', { tensors: [{}, { offset: 32 }], dataBytes: 96 }, /tensor "t" is "given twice"/],
  [
    'a tensor name of 65 bytes',
    { tensors: [{ name: 'n'.repeat(65) }], dataBytes: 96 },
    /name length of tensor 0 is 65; it must be at most 64/,
  ],
];

describe('a GGUF file that is refused as corrupt', () => {
  it.each(corrupt)('has %s', (_, spec, pattern) => {
    expectFault(() => open(buildGguf(spec)), 'TENSOR_FILE_CORRUPT', pattern, /hostile\.gguf: /);
  });

  it('is cut short anywhere in its header', () => {
    const bytes = fixtureBytes('quants.gguf');
    const dataStart = Math.min(
      ...open(bytes)
        .list()
        .map(({ offset }) => offset),
    );
    for (let length = 0; length < dataStart; length += 7)
      expectFault(() => open(bytes.subarray(0, length)), 'TENSOR_FILE_CORRUPT', /hostile\.gguf/);
  });

  it('does not get control characters or long names into the text', () => {
    const name = `\u001b[31m${'x'.repeat(50)}`;
    expectFault(
      () => open(buildGguf({ tensors: [{ name, offset: 1 }] })),
      'TENSOR_FILE_CORRUPT',
      /tensor "\\u001b\[31mx+"/,
    );
    const key = 'k'.repeat(60_000);
    try {
      open(buildGguf({ keys: [keyValue(key, 99, u32(0))] }));
      expect.unreachable();
    } catch (problem) {
      expect((problem as Error).message.length).toBeLessThan(400);
    }
  });
});

const unsupported: [what: string, spec: GgufSpec, text: RegExp][] = [
  ['version 1', { version: 1 }, /GGUF version is 1.*Versions 2 and 3 are read/],
  ['version 4', { version: 4 }, /GGUF version is 4/],
  ['big-endian numbers', { version: 0x03000000 }, /byte order is "big-endian".*Convert/],
  ['an unknown tensor type', { tensors: [{ type: 4 }], dataBytes: 64 }, /ggml type of tensor "t" is 4/],
  [
    'several parts',
    { keys: [keyValue('split.count', 2, Buffer.of(3, 0))] },
    /split.count is 3.*llama-gguf-split --merge/,
  ],
  [
    'an older block layout',
    {
      keys: [keyValue('general.quantization_version', 4, u32(1))],
      tensors: [{ dimensions: [32], type: 2 }],
      dataBytes: 18,
    },
    /quantization_version is 1/,
  ],
];

describe('a GGUF file that is refused as unsupported', () => {
  it.each(unsupported)('has %s', (_, spec, pattern) => {
    expectFault(() => open(buildGguf(spec)), 'TENSOR_FILE_UNSUPPORTED', pattern);
  });
});

it('version 2 and holes between tensors are accepted', () => {
  const file = open(buildGguf({ version: 2, tensors: [{ offset: 64 }], dataBytes: 80 }));
  expect(file.readFloat32('t')).toEqual(new Float32Array(4));
  file.close();
});

it('a header of arrays that claims more values than the limit is refused before they are built', () => {
  const bytes = buildGguf({ keys: [keyValue('k', 9, array(0, 8_000_001, Buffer.alloc(8_000_001)))] });
  expectFault(
    () => open(bytes),
    'TENSOR_FILE_CORRUPT',
    /array length of metadata "k" is 8000001; it must be at most 8000000/,
  );
});
