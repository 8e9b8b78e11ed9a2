import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Matrix as ProtoMatrix } from '../../../proto/gen/refusalscope/v1/types.js';
import { compareFeatures, formatFeature, parseFeature } from '../../../shared/tensors/feature-name.js';
import { decodeMask, decodeMaskIndices, encodeMask, encodeMaskIndices } from '../../../shared/tensors/mask-bits.js';
import { decodeMatrix, decodeRow, encodeMatrix, encodeRow } from '../../../shared/tensors/matrix.js';

const wire = (rows: number, cols: number, values: number[]) => {
  const data = Buffer.alloc(values.length * 4);
  values.forEach((value, i) => {
    data.writeFloatLE(value, i * 4);
  });
  return { rows, cols, data };
};

describe('matrices', () => {
  it('float32 values are little-endian and row-major', () => {
    const matrix = decodeMatrix(wire(2, 3, [1, 2, 3, 4, 5, 6]), { name: 'm' });
    expect(matrix).toMatchObject({ rows: 2, cols: 3 });
    expect([...matrix.data]).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('survive the protobuf codec, from any byte offset', () => {
    const values = Float32Array.from([0.5, -1.25, 3e-20]);
    const bytes = ProtoMatrix.encode(encodeMatrix({ rows: 1, cols: 3, data: values })).finish();
    for (let shift = 0; shift < 8; shift++) {
      const moved = new Uint8Array(bytes.length + shift);
      moved.set(bytes, shift);
      const message = ProtoMatrix.decode(moved.subarray(shift));
      expect([...decodeRow(message, { name: 'm' })]).toEqual([...values]);
    }
  });

  it('share memory when aligned', () => {
    const values = Float32Array.from([1, 2]);
    const encoded = encodeMatrix({ rows: 1, cols: 2, data: values });
    values[0] = 7;
    expect(decodeRow(encoded, { name: 'm' })[0]).toBe(7);
  });

  const faults: [string, () => unknown, string, string][] = [
    ['absent', () => decodeMatrix(undefined, { name: 'read' }), 'REQUEST_INVALID', 'read is missing.'],
    [
      'too few bytes',
      () => decodeMatrix({ rows: 2, cols: 2, data: Buffer.alloc(12) }, { name: 'read' }),
      'SHAPE_MISMATCH',
      'read says 2 x 2 float32, which is 16 bytes, but holds 12 bytes.',
    ],
    [
      'an absurd shape over few bytes',
      () => decodeMatrix({ rows: 4294967295, cols: 4294967295, data: Buffer.alloc(4) }, { name: 'read' }),
      'SHAPE_MISMATCH',
      'but holds 4 bytes',
    ],
    [
      'billions of rows without a column, which take no bytes',
      () => decodeMatrix({ rows: 4294967295, cols: 0, data: Buffer.alloc(0) }, { name: 'design' }),
      'SHAPE_MISMATCH',
      'design has 4294967295 rows of 0 columns',
    ],
    [
      'another width than needed',
      () => decodeMatrix(wire(1, 2, [1, 2]), { name: 'vector', cols: 576 }),
      'SHAPE_MISMATCH',
      'vector has 2 columns; 576 are needed.',
    ],
    [
      'a NaN, with its place',
      () => decodeMatrix(wire(2, 2, [0, 0, Number.NaN, 0]), { name: 'target' }),
      'NOT_FINITE',
      'target holds NaN at row 1, column 0; every value must be a finite number.',
    ],
    [
      '-infinity where it means nothing',
      () => decodeMatrix(wire(1, 1, [Number.NEGATIVE_INFINITY]), { name: 'read' }),
      'NOT_FINITE',
      'read holds -Infinity',
    ],
  ];
  it.each(faults)('refuse %s', (_name, act, code, text) => {
    expect(act).toThrow(expect.objectContaining({ code, message: expect.stringContaining(text) }));
  });

  it('let -infinity pass where it is a plain projection', () => {
    const row = decodeRow(encodeRow([Number.NEGATIVE_INFINITY]), { name: 'threshold', allowNegativeInfinity: true });
    expect(row[0]).toBe(Number.NEGATIVE_INFINITY);
    const nan = encodeRow([Number.NaN]);
    expect(() => decodeRow(nan, { name: 'threshold', allowNegativeInfinity: true })).toThrow(/NaN/);
  });
});

describe('masks', () => {
  it('bit i of byte i/8 is edit i', () => {
    expect([...encodeMaskIndices([0, 3, 9], 10)]).toEqual([0b1001, 0b10]);
    expect([...decodeMask(Uint8Array.of(0b1001, 0b10), 10)]).toEqual([1, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
  });

  it('any flags come back from their bits', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(0, 1), { maxLength: 300 }), (flags) => {
        const bits = encodeMask(flags);
        expect(bits.length).toBe(Math.ceil(flags.length / 8));
        expect([...decodeMask(bits, flags.length)]).toEqual(flags);
        expect(decodeMaskIndices(bits, flags.length)).toEqual(flags.flatMap((flag, i) => (flag ? [i] : [])));
      }),
    );
  });

  it('a mask for another number of edits is refused', () => {
    const refused = (act: () => unknown, text: string) =>
      expect(act).toThrow(
        expect.objectContaining({ code: 'MASK_WRONG_LENGTH', message: expect.stringContaining(text) }),
      );
    refused(() => decodeMask(new Uint8Array(1), 9), 'a bank of 9 edits needs exactly 2');
    refused(() => decodeMask(new Uint8Array(3), 16), 'A mask of 3 bytes was given');
    refused(() => decodeMask(Uint8Array.of(0b1000), 3), 'beyond its 3 edits');
    refused(() => encodeMaskIndices([3], 3), 'Edit 3 cannot be in a mask of 3 edits (0 to 2)');
  });
});

describe('feature names', () => {
  it('parse and print are inverse', () => {
    expect(parseFeature(' 13/5 ')).toEqual({ layer: 13, index: 5 });
    expect(formatFeature({ layer: 13, index: 5 })).toBe('13/5');
  });

  it.each(['13', '13/', '/5', '-1/5', '13/5/6', '1.5/2', '', 'L13/5'])('%j is refused', (name) => {
    expect(() => parseFeature(name)).toThrow(
      expect.objectContaining({ code: 'REQUEST_INVALID', message: expect.stringContaining('write layer/index') }),
    );
  });

  it('order is by layer, then by number and not by text', () => {
    const names = ['13/10', '9/400', '13/9'].map(parseFeature).sort(compareFeatures).map(formatFeature);
    expect(names).toEqual(['9/400', '13/9', '13/10']);
  });
});
