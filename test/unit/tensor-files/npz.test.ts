import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { openNpz } from '../../../shared/tensor-files/npz.js';
import { bits, expectedTensors, expectFault, fixtureBytes, fixturePath, tensorFolder } from './tensor-fixtures.js';
import { buildZip, npyBytes, npyHeader, type ZipMember } from './zip-bytes.js';

const scratch = tensorFolder();

describe.each(['stored.npz', 'deflated.npz'])('%s written by numpy', (name) => {
  const file = openNpz(fixturePath(name));
  const expected = expectedTensors(name);

  it.each([...expected.keys()])('has %s bit-exact, whole and by rows', (array) => {
    const { shape, values } = expected.get(array)!;
    expect(file.info(array).shape).toEqual(shape);
    expect(bits(file.readFloat32(array))).toEqual(bits(values));
    const rows = shape[0] ?? 1;
    const rowLength = values.length / rows;
    for (let start = 0; start < rows; start++)
      for (let count = 0; start + count <= rows; count++)
        expect(bits(file.readFloat32(array, { start, count }))).toEqual(
          bits(values.slice(start * rowLength, (start + count) * rowLength)),
        );
  });

  it.each(['f4', 'f2', 'f8', 'fortran'])('gives columns of %s one after the other', (array) => {
    const { values } = expected.get(array)!;
    const wanted = [10, 0, 4].flatMap((column) => [0, 1, 2, 3, 4, 5, 6].map((row) => values[row * 11 + column]!));
    expect([...file.readColumns(array, [10, 0, 4])]).toEqual(wanted);
  });

  it('lists the integers but does not turn them into floats', () => {
    expect(file.info('integers')).toMatchObject({ dtype: '<i8', shape: [4], byteLength: 32 });
    expectFault(
      () => file.readFloat32('integers'),
      'TENSOR_FILE_UNSUPPORTED',
      /dtype of array "integers" is "<i8".*<f4, <f2 and <f8/,
    );
    expectFault(() => file.readFloat32('W_enc'), 'TENSOR_NOT_FOUND', /no tensor "W_enc"/);
    expectFault(() => file.readColumns('vector', [0]), 'REQUEST_INVALID', /it is \[11\]/);
  });
});

it('a stored row-major array says where its bytes lie; others do not', () => {
  const stored = openNpz(fixturePath('stored.npz'));
  const { offset, file, byteLength } = stored.info('f4');
  const bytes = readFileSync(file!).subarray(offset, offset! + byteLength);
  expect(new Float32Array(new Uint8Array(bytes).buffer)).toEqual(expectedTensors('stored.npz').get('f4')!.values);
  expect(stored.info('fortran').offset).toBeUndefined();
  expect(openNpz(fixturePath('deflated.npz')).info('f4').offset).toBeUndefined();
});

const ones = (length: number): Buffer => Buffer.from(new Float32Array(length).fill(1).buffer);
const array = (shape: string, length: number, version = 1): Buffer =>
  npyBytes(npyHeader("'<f4'", shape), ones(length), version);
const open = (members: readonly ZipMember[], end?: Parameters<typeof buildZip>[1]) =>
  openNpz(scratch.write('hostile.npz', buildZip(members, end)));
const openHeader = (header: string, data: Uint8Array = Buffer.alloc(0), version = 1, length?: number) =>
  open([{ name: 'a.npy', data: npyBytes(header, data, version, length) }]);

describe('what numpy may write and this reads', () => {
  it.each([1, 2, 3])('npy version %i', (version) => {
    const file = open([{ name: 'a.npy', data: array('(2, 3)', 6, version) }]);
    expect([...file.readFloat32('a')]).toEqual([1, 1, 1, 1, 1, 1]);
  });

  it('zip64 sizes, keys in another order, Python 2 shapes, other members', () => {
    const header = "{'shape': (2L, 3L), 'descr': '<f4', 'fortran_order': False}   \n";
    const file = open([
      { name: 'read.me', data: Buffer.from('text') },
      { name: 'a.npy', data: npyBytes(header, ones(6)), zip64: true },
      { name: 'b.npy', data: npyBytes(header, ones(6)), zip64: true, deflate: true },
    ]);
    expect(file.list().map(({ name, shape }) => [name, shape])).toEqual([
      ['a', [2, 3]],
      ['b', [2, 3]],
    ]);
    expect(file.readFloat32('b', { start: 1, count: 1 })).toEqual(new Float32Array(3).fill(1));
  });

  it('structured, big-endian and Python-object arrays are listed and not read', () => {
    const file = open([
      { name: 's.npy', data: npyBytes(npyHeader("[('x', '<f4'), ('y', '<i4')]", '(2,)'), Buffer.alloc(16)) },
      { name: 'b.npy', data: npyBytes(npyHeader("'>f4'", '(1,)'), Buffer.alloc(4)) },
      { name: 'f.npy', data: npyBytes(npyHeader("'<f4'", '(1, 1, 2)', true), Buffer.alloc(8)) },
    ]);
    expectFault(() => file.readFloat32('s'), 'TENSOR_FILE_UNSUPPORTED', /"structured"/);
    expectFault(() => file.readFloat32('b'), 'TENSOR_FILE_UNSUPPORTED', /">f4"/);
    expectFault(() => file.readFloat32('f'), 'TENSOR_FILE_UNSUPPORTED', /column-major.*ascontiguousarray/);
    const pickled = openNpz(fixturePath('pickled.npz'));
    expectFault(() => pickled.readFloat32('objects'), 'TENSOR_FILE_UNSUPPORTED', /a pickle.*can run any code/);
  });
});

describe('a hostile npz', () => {
  const good = array('(2, 3)', 6);
  const stored = { name: 'a.npy', data: good };
  const deflated = { ...stored, deflate: true };

  const directory: [what: string, action: () => unknown, text: RegExp][] = [
    [
      'no end record',
      () => openNpz(scratch.write('hostile.npz', Buffer.alloc(100))),
      /end record of the zip file is "absent"/,
    ],
    ['more entries than its directory', () => open([stored], { count: 2 }), /zip directory is "cut short"/],
    ['too many entries', () => open([stored], { count: 60_000 }), /entry count is 60000; it must be at most 20000/],
    ['a directory past the end', () => open([stored], { start: 2 ** 31 }), /end of the zip directory/],
    ['a directory that is longer than the file', () => open([stored], { length: 10_000 }), /end of the zip directory/],
    ['a directory elsewhere', () => open([stored], { start: 3 }), /entry of the zip directory is "not one"|cut short/],
    ['zip64 sizes without a zip64 record', () => open([stored], { count: 0xffff }), /zip64/],
    [
      'a local header elsewhere',
      () => open([{ ...stored, localOffset: 1 }]),
      /local header of entry "a.npy" is "another"/,
    ],
    ['a local header past the end', () => open([{ ...stored, localOffset: 2 ** 31 }]), /local header of entry "a.npy"/],
    [
      'a stored entry of two lengths',
      () => open([{ ...stored, length: 10 }]),
      /length of entry "a.npy" is 10; it is stored in/,
    ],
    [
      'an entry that reaches into the directory',
      () => open([{ ...stored, storedLength: good.length + 9, length: good.length + 9 }]),
      /end of the data of tensor "a.npy"/,
    ],
    [
      'a deflate ratio that cannot be',
      () => open([{ ...deflated, length: 2 ** 30 }]),
      /length of entry "a.npy" is 1073741824/,
    ],
    [
      'two entries over the same bytes',
      () => open([stored, { ...stored, localOffset: 0 }]),
      /start of the data of tensor "a.npy"/,
    ],
    ['two arrays of one name', () => open([stored, stored]), /array "a" is "given twice"/],
  ];
  it.each(directory)('has %s', (_, action, pattern) => {
    expectFault(action, 'TENSOR_FILE_CORRUPT', pattern, /hostile\.npz/);
  });

  it('is encrypted or compressed in another way', () => {
    expectFault(() => open([{ ...stored, flags: 1 }]), 'TENSOR_FILE_UNSUPPORTED', /"encrypted"/);
    expectFault(
      () => open([{ ...stored, method: 12 }]),
      'TENSOR_FILE_UNSUPPORTED',
      /compression of entry "a.npy" is 12/,
    );
  });

  it('is a PyTorch file', () => {
    const members = [{ name: 'archive/data.pkl', data: Buffer.from('pickle') }];
    expectFault(() => open(members), 'TENSOR_FILE_UNSUPPORTED', /a pickle.*convert it to safetensors/);
  });

  it('inflates to more, to less or to other bytes than declared', () => {
    const long = { name: 'a.npy', data: array('(2, 3)', 6) };
    const declared = (member: ZipMember) => () => open([member]).readFloat32('a');
    expectFault(
      declared({ ...long, deflate: true, length: good.length - 4 }),
      'TENSOR_FILE_CORRUPT',
      /length of array "a" is 20/,
    );
    expectFault(declared({ ...long, deflate: true, crc: 7 }), 'TENSOR_FILE_CORRUPT', /CRC-32 of entry "a.npy"/);
    const short = npyBytes(npyHeader("'<f4'", '(7,)'), ones(6));
    expectFault(
      declared({ name: 'a.npy', data: short, deflate: true, length: short.length + 4 }),
      'TENSOR_FILE_CORRUPT',
      /inflated length of entry "a.npy"/,
    );
    const bomb = npyBytes(npyHeader("'<f4'", '(6,)'), Buffer.alloc(4_000_000));
    const length = bomb.length - 4_000_000 + 24;
    expectFault(
      declared({ name: 'a.npy', data: bomb, deflate: true, length }),
      'TENSOR_FILE_CORRUPT',
      /deflate stream of entry "a.npy"/,
    );
  });

  const headers: [what: string, action: () => unknown, text: RegExp][] = [
    ['no npy magic', () => open([{ name: 'a.npy', data: Buffer.alloc(64) }]), /header of array "a" is "no npy header"/],
    ['an empty array file', () => open([{ name: 'a.npy', data: Buffer.alloc(0) }]), /no npy header/],
    [
      'a header length past the end',
      () => openHeader('{}', Buffer.alloc(0), 2, 2 ** 31),
      /length of the header of array "a" is 2147483648/,
    ],
    [
      'a header above the limit',
      () => openHeader(' '.repeat(10_001), Buffer.alloc(0), 2),
      /is 10001; it must be at most 10000/,
    ],
    ['code in its header', () => openHeader('__import__("os")'), /it must be {'descr'/],
    ['a key too few', () => openHeader("{'descr': '<f4', 'shape': (1,)}", ones(1)), /it must be {'descr'/],
    [
      'a key twice',
      () => openHeader("{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", ones(1)),
      /it must be {'descr'/,
    ],
    ['a negative dimension', () => openHeader(npyHeader("'<f4'", '(-1,)')), /it must be {'descr'/],
    ['a huge dimension', () => openHeader(npyHeader("'<f4'", '(99999999999999999999,)')), /it must be {'descr'/],
    [
      'an overflowing shape',
      () => openHeader(npyHeader("'<f4'", '(4294967296, 4294967296)')),
      /product must be below 2\^53/,
    ],
    [
      'fewer bytes than its shape',
      () => openHeader(npyHeader("'<f4'", '(2,)'), ones(1)),
      /length of array "a" is 4; <f4 \[2\] takes 8/,
    ],
    ['more bytes than its shape', () => openHeader(npyHeader("'<f4'", '(2,)'), ones(3)), /is 12; <f4 \[2\] takes 8/],
  ];
  it.each(headers)('has %s', (_, action, pattern) => {
    expectFault(action, 'TENSOR_FILE_CORRUPT', pattern, /hostile\.npz/);
  });

  it('has an npy version from the future', () => {
    expectFault(
      () => openHeader(npyHeader("'<f4'", '()'), ones(1), 4),
      'TENSOR_FILE_UNSUPPORTED',
      /npy version of array "a" is 4/,
    );
  });

  it.each(['stored.npz', 'deflated.npz'])('is %s cut short anywhere', (name) => {
    const bytes = fixtureBytes(name);
    for (let length = 0; length < bytes.length; length += 13)
      expectFault(
        () => openNpz(scratch.write('hostile.npz', bytes.subarray(0, length))),
        'TENSOR_FILE_CORRUPT',
        /hostile/,
      );
  });
});
