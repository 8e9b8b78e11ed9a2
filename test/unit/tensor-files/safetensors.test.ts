import { copyFileSync, cpSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { openSafetensors } from '../../../shared/tensor-files/safetensors.js';
import { bits, expectedTensors, expectFault, fixtureBytes, fixturePath, tensorFolder } from './tensor-fixtures.js';

const scratch = tensorFolder();

describe('a single file written by the Python package', () => {
  const file = openSafetensors(fixturePath('single.safetensors'));
  const expected = expectedTensors('single.safetensors');
  afterAll(() => file.close());

  it.each([...expected.keys()])('%s is bit-exact, whole and by rows', (name) => {
    const { shape, values } = expected.get(name)!;
    expect(file.info(name).shape).toEqual(shape);
    expect(bits(file.readFloat32(name))).toEqual(bits(values));
    const rows = shape[0] ?? 1;
    for (let start = 0; start < rows; start++) {
      const rowLength = values.length / rows;
      const row = file.readFloat32(name, { start, count: 1 });
      expect(bits(row)).toEqual(bits(values.slice(start * rowLength, (start + 1) * rowLength)));
    }
  });

  it.each(['f32', 'f16', 'bf16', 'f64'])('%s gives columns one after the other', (name) => {
    const { values } = expected.get(name)!;
    const wanted = [8, 0, 3].flatMap((column) => [0, 1, 2, 3, 4].map((row) => values[row * 9 + column]!));
    expect([...file.readColumns(name, [8, 0, 3])]).toEqual(wanted);
  });

  it('lists every dtype with its place, from which the raw bytes can be read', () => {
    expect(file.metadata.get('format')).toBe('pt');
    const { dtype, offset, byteLength, file: path } = file.info('u8');
    expect({ dtype, byteLength }).toEqual({ dtype: 'U8', byteLength: 5 });
    expect([...readFileSync(path).subarray(offset, offset + byteLength)]).toEqual([0, 1, 2, 3, 4]);
    expect(
      file
        .list()
        .map((info) => info.name)
        .sort(),
    ).toEqual([...expected.keys(), 'i64', 'u8'].sort());
  });

  it('refuses to turn integers into floats, unknown names and rows outside of a tensor', () => {
    expectFault(
      () => file.readFloat32('i64'),
      'TENSOR_FILE_UNSUPPORTED',
      /dtype of tensor "i64" is "I64".*F32, F16, BF16 and F64/,
    );
    expectFault(() => file.readFloat32('W_enc'), 'TENSOR_NOT_FOUND', /no tensor "W_enc"; it has 8/);
    expectFault(() => file.readFloat32('f32', { start: 5, count: 1 }), 'REQUEST_INVALID', /Rows 5 to 6.*has 5/);
  });
});

it('columns of a wide matrix, read value by value, are those of the whole matrix', () => {
  const [rows, width] = [3, 20_000];
  const values = Float32Array.from({ length: rows * width }, (_, i) => Math.sin(i));
  const header = JSON.stringify({ w: { dtype: 'F32', shape: [rows, width], data_offsets: [0, values.byteLength] } });
  const file = openSafetensors(scratch.write('wide.safetensors', safetensorsBytes(header, Buffer.from(values.buffer))));
  const columns = [19_999, 0, 777];
  const wanted = columns.flatMap((column) => [0, 1, 2].map((row) => values[row * width + column]!));
  expect([...file.readColumns('w', columns)]).toEqual(wanted);
  file.close();
});

describe('shards', () => {
  const expected = expectedTensors('sharded');

  it.each(['sharded', 'sharded/model.safetensors.index.json'])('are read through %s', (path) => {
    const folder = openSafetensors(fixturePath(path));
    expect(folder.list().map(({ name }) => name)).toEqual([...expected.keys()]);
    for (const [name, { values }] of expected) expect(bits(folder.readFloat32(name))).toEqual(bits(values));
    folder.close();
  });

  const shardsWithIndex = (weightMap: unknown): string => {
    const folder = join(scratch.path, 'shards');
    cpSync(fixturePath('sharded'), folder, { recursive: true });
    scratch.write('shards/model.safetensors.index.json', JSON.stringify({ weight_map: weightMap }));
    return folder;
  };
  const first = 'model-00001-of-00002.safetensors';

  it('may be named by an index that leaves tensors out (control)', () => {
    const folder = openSafetensors(shardsWithIndex({ 'layer.1.weight': first }));
    expect(folder.list().map(({ name }) => name)).toEqual(['layer.1.weight']);
    folder.close();
  });

  it.each(['../shards/model-00001-of-00002.safetensors', '/etc/passwd', '..', 'a\\b', '', 7])(
    'may not lie outside of the folder: %s',
    (name) => {
      const open = () => openSafetensors(shardsWithIndex({ 'layer.1.weight': name }));
      expectFault(
        open,
        'TENSOR_FILE_CORRUPT',
        /file of tensor "layer.1.weight".*plain name of a file beside the index/,
      );
    },
  );

  it('must exist, hold what the index says, and be at least one', () => {
    const open = (map: unknown) => () => openSafetensors(shardsWithIndex(map));
    expectFault(open({ a: 'gone.safetensors' }), 'FILE_NOT_FOUND', /gone.safetensors cannot be read/);
    expectFault(open({ a: first }), 'TENSOR_FILE_CORRUPT', /file of tensor "a".*that file does not have it/);
    expectFault(open({}), 'TENSOR_FILE_CORRUPT', /number of shards is 0/);
    expectFault(open([first]), 'TENSOR_FILE_CORRUPT', /weight_map.*must map tensor names to file names/);
  });
});

describe('a folder', () => {
  it('without an index is read when it holds exactly one file, or model.safetensors', () => {
    const folder = join(scratch.path, 'folder');
    mkdirSync(folder);
    expectFault(() => openSafetensors(folder), 'FILE_NOT_FOUND', /has 0 safetensors files/);
    copyFileSync(fixturePath('single.safetensors'), join(folder, 'sae.safetensors'));
    openSafetensors(folder).close();
    copyFileSync(fixturePath('expected.safetensors'), join(folder, 'other.safetensors'));
    expectFault(() => openSafetensors(folder), 'FILE_NOT_FOUND', /has 2 safetensors files.*Name the file/);
    copyFileSync(fixturePath('single.safetensors'), join(folder, 'model.safetensors'));
    const opened = openSafetensors(folder);
    expect(opened.has('bf16')).toBe(true);
    opened.close();
    rmSync(folder, { recursive: true });
  });

  it('that does not exist is named', () => {
    expectFault(() => openSafetensors('/no/such/place'), 'FILE_NOT_FOUND', /\/no\/such\/place cannot be read \(ENOENT/);
  });
});

function safetensorsBytes(
  header: string | Buffer,
  data: Uint8Array = Buffer.alloc(0),
  length?: number | bigint,
): Buffer {
  const start = Buffer.alloc(8);
  start.writeBigUInt64LE(BigInt(length ?? Buffer.from(header).length));
  return Buffer.concat([start, Buffer.from(header), data]);
}

describe('a hostile file', () => {
  const open =
    (header: string | Buffer | object, dataBytes = 0, length?: number | bigint) =>
    () => {
      const text = typeof header === 'string' || Buffer.isBuffer(header) ? header : JSON.stringify(header);
      openSafetensors(
        scratch.write('hostile.safetensors', safetensorsBytes(text, Buffer.alloc(dataBytes), length)),
      ).close();
    };
  const f32 = (begin: unknown, end: unknown, shape: unknown = [1]) => ({
    dtype: 'F32',
    shape,
    data_offsets: [begin, end],
  });

  it('is read when nothing is wrong, with padding and a zero-size tensor (control)', () => {
    expect(open(`${JSON.stringify({ a: f32(0, 4), b: f32(4, 4, [0]), c: f32(4, 8) })}   `, 8)).not.toThrow();
    expect(open('{}')).not.toThrow();
  });

  const cases: [what: string, open: () => void, text: RegExp][] = [
    ['a header length past the end', open('{}', 0, 3), /header length is 3; it must be at most 2/],
    ['a header length of 2^64 - 1', open('{}', 0, 2n ** 64n - 1n), /header length is 18446744073709551615/],
    ['no brace at the start', open(' {}'), /first byte of the header is 32; it must be "{"/],
    ['an empty header', open(''), /first byte of the header/],
    ['a header that is not JSON', open('{"a":'), /the header is "not JSON"/],
    ['a header that is not UTF-8', open(Buffer.from([0x7b, 0xff, 0x7d])), /the header is "not UTF-8"/],
    [
      'a key given twice',
      open(
        '{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"\\u0061":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}',
      ),
      /key "a" of the header is "given twice"/,
    ],
    [
      'metadata that is no map of strings',
      open({ __metadata__: { a: 1 } }),
      /__metadata__.*must map strings to strings/,
    ],
    ['a deep header', open(`{"a":${'['.repeat(100_000)}`), /depth of the header is 4; at most 3/],
    [
      'millions of empty arrays',
      open(`{"a":[${'[],'.repeat(1_100_000)}[]]}`),
      /items of the header is 2000001; at most 2000000/,
    ],
    [
      'more tensors than any model',
      open(`{${'"a":{},'.repeat(200_002)}"a":{}}`),
      /keys of the header is 200002; at most 200001/,
    ],
    ['a tensor without a dtype', open({ a: { shape: [1], data_offsets: [0, 4] } }, 4), /tensor "a" is "incomplete"/],
    ['a tensor that is null', open({ a: null }), /tensor "a" is "incomplete"/],
    ['a negative dimension', open({ a: f32(0, 4, [-1]) }, 4), /tensor "a" is "incomplete"/],
    ['a broken dimension', open({ a: f32(0, 4, [0.5]) }, 4), /tensor "a" is "incomplete"/],
    [
      'dimensions whose product overflows',
      open({ a: f32(0, 4, [2 ** 32, 2 ** 32]) }, 4),
      /product must be below 2\^53/,
    ],
    ['17 dimensions', open({ a: f32(0, 4, Array(17).fill(1)) }, 4), /rank of tensor "a" is 17; at most 16/],
    [
      'a length that the shape does not give',
      open({ a: f32(0, 4, [2]) }, 4),
      /length of tensor "a" is "4 bytes"; F32 \[2\] takes 8/,
    ],
    ['an end before the begin', open({ a: f32(4, 0) }, 4), /length of tensor "a" is "-4 bytes"/],
    ['data past the end', open({ a: f32(0, 4) }, 3), /end of the data of tensor "a"/],
    ['an offset of 2^60', open({ a: f32(2 ** 60, 2 ** 60 + 4) }, 4), /tensor "a" is "incomplete"/],
    [
      'overlapping tensors',
      open({ a: f32(0, 8, [2]), b: f32(4, 8) }, 8),
      /start of the data of tensor "b".*tensor "a" goes on/,
    ],
    [
      'a hole between tensors',
      open({ a: f32(0, 4), b: f32(8, 12) }, 12),
      /start of the data of tensor "b".*holes are not allowed/,
    ],
    ['a hole at the start', open({ a: f32(4, 8) }, 8), /start of the data of tensor "a".*holes are not allowed/],
    ['bytes after the last tensor', open({ a: f32(0, 4) }, 8), /end of the last tensor.*the data ends at byte/],
  ];
  it.each(cases)('has %s', (_, action, pattern) => {
    expectFault(action, 'TENSOR_FILE_CORRUPT', pattern, /hostile\.safetensors/);
  });

  it('has an unknown dtype', () => {
    expectFault(
      open({ a: { dtype: 'Q7', shape: [1], data_offsets: [0, 1] } }, 1),
      'TENSOR_FILE_UNSUPPORTED',
      /dtype of tensor "a" is "Q7"/,
    );
  });

  it('is cut short anywhere', () => {
    const bytes = fixtureBytes('single.safetensors');
    for (let length = 0; length < bytes.length; length += 5)
      expectFault(
        () => openSafetensors(scratch.write('cut.safetensors', bytes.subarray(0, length))),
        'TENSOR_FILE_CORRUPT',
        /cut\.safetensors/,
      );
  });

  it('shrinks after it was opened', () => {
    const bytes = fixtureBytes('single.safetensors');
    const file = openSafetensors(scratch.write('shrinks.safetensors', bytes));
    scratch.write('shrinks.safetensors', bytes.subarray(0, 600));
    expectFault(
      () => {
        for (const { name, dtype } of file.list()) if (dtype === 'F32') file.readFloat32(name);
      },
      'TENSOR_FILE_CORRUPT',
      /the file ends at byte/,
    );
    file.close();
  });
});
