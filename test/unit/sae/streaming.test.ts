import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BlockCache } from '../../../services/sae/block-cache.js';
import { encodeResiduals } from '../../../services/sae/encode-residuals.js';
import { FeatureMatrix } from '../../../services/sae/feature-matrix.js';
import { multiplyRows } from '../../../services/sae/multiply-rows.js';
import { findNearestFeatures } from '../../../services/sae/nearest-features.js';
import type { Sae } from '../../../services/sae/sae.js';
import { keepLargest } from '../../../services/sae/sparse-rows.js';
import { featureColumnsOf, featureRowsOf } from '../../../services/sae/stored-matrix.js';
import { TopList } from '../../../services/sae/top-list.js';
import { openTensorFile } from '../../../shared/tensor-files/open-tensor-file.js';
import { caseNamed, D_IN, D_SAE, FIXTURES } from './sae-cases.js';

const random = (length: number, seed = 1): Float32Array => {
  let state = seed;
  return Float32Array.from({ length }, () => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return state / 1073741824 - 1;
  });
};

describe('blocks of weights', () => {
  const gemma = (name: string) => openTensorFile(join(FIXTURES, caseNamed(name).folder, 'params.npz'));
  const transposed = (values: Float32Array): Float32Array =>
    Float32Array.from({ length: values.length }, (_, at) => values[(at % D_IN) * D_SAE + Math.floor(at / D_IN)]!);

  it.each([
    ['gemmascope', 'W_enc', 'W_dec'],
    ['gemmascope-deflated', 'w_enc', 'w_dec'],
  ])(
    '%s: blocks of any size, cached or not, are the matrix, whichever way the file stores it',
    (name, encoder, decoder) => {
      const source = gemma(name);
      const expected = { columns: transposed(source.readFloat32(encoder)), rows: source.readFloat32(decoder) };
      for (const cacheBytes of [0, 1 << 20])
        for (const blockValues of [D_IN, 7 * D_IN, 1 << 20]) {
          const cache = new BlockCache(cacheBytes);
          const columns = new FeatureMatrix('enc', featureColumnsOf(source, encoder), cache, blockValues);
          const rows = new FeatureMatrix('dec', featureRowsOf(source, decoder), cache, blockValues);
          expect(Float32Array.from([...columns.blocks()].flatMap(({ values }) => [...values]))).toEqual(
            expected.columns,
          );
          expect(Float32Array.from([...rows.blocks()].flatMap(({ values }) => [...values]))).toEqual(expected.rows);
          const picked = [47, 0, 13, 14];
          const rowsOf = (all: Float32Array) =>
            Float32Array.from(picked.flatMap((k) => [...all.subarray(k * D_IN, (k + 1) * D_IN)]));
          expect(columns.rows(picked)).toEqual(rowsOf(expected.columns));
          expect(rows.rows(picked)).toEqual(rowsOf(expected.rows));
        }
      source.close();
    },
  );

  it('the cache keeps to its budget, drops the block used longest ago, and takes no matrix above a quarter of it', () => {
    const cache = new BlockCache(40);
    const reads: string[] = [];
    const get = (key: string) =>
      cache.get(key, () => {
        reads.push(key);
        return new Float32Array(4);
      });
    for (const key of ['a', 'b', 'a', 'c', 'a', 'b']) get(key);
    expect(reads).toEqual(['a', 'b', 'c', 'b']);
    expect(cache.bytes).toBeLessThanOrEqual(40);
    expect([cache.fits(10), cache.fits(11)]).toEqual([true, false]);
  });
});

/** An SAE in memory: `stored` hands out the same rows a file would. */
const saeOf = (
  dSae: number,
  blockValues: number,
  k?: number,
): { sae: Sae; decoder: Float32Array; encoder: Float32Array } => {
  const encoder = random(dSae * D_IN, 3);
  const decoder = random(dSae * D_IN, 5);
  const matrix = (values: Float32Array, label: string) => {
    const stored = {
      features: dSae,
      width: D_IN,
      readRange: (start: number, count: number) => values.slice(start * D_IN, (start + count) * D_IN),
      readRows: (indices: readonly number[]) =>
        Float32Array.from(indices.flatMap((index) => [...values.subarray(index * D_IN, (index + 1) * D_IN)])),
      close: () => {},
    };
    return new FeatureMatrix(label, stored, new BlockCache(0), blockValues);
  };
  const rule = { bias: new Float32Array(dSae), threshold: new Float32Array(dSae), ...(k !== undefined && { k }) };
  const sae: Sae = {
    layer: 0,
    dIn: D_IN,
    dSae,
    encoder: matrix(encoder, 'enc'),
    decoder: matrix(decoder, 'dec'),
    bDec: new Float32Array(D_IN),
    appliesBDec: false,
    inputScale: { kind: 'fixed', scale: 1 },
    rule,
  };
  return { sae, decoder, encoder };
};

describe('streamed answers', () => {
  it('nearest features are those of a full sort, in small blocks and large', () => {
    const vector = random(D_IN, 9);
    const cosines = (decoder: Float32Array) =>
      Array.from({ length: decoder.length / D_IN }, (_, k) => {
        const row = decoder.subarray(k * D_IN, (k + 1) * D_IN);
        const dot = row.reduce((sum, value, i) => sum + value * vector[i]!, 0);
        return { index: k, cosine: dot / (Math.hypot(...row) * Math.hypot(...vector)) };
      });
    for (const blockValues of [3 * D_IN, 1 << 20]) {
      const { sae, decoder } = saeOf(5000, blockValues);
      const sorted = cosines(decoder).sort((a, b) => b.cosine - a.cosine);
      const found = findNearestFeatures(sae, vector, 200);
      expect(found.map(({ index }) => index)).toEqual(sorted.slice(0, 200).map(({ index }) => index));
      expect(found[199]!.cosine).toBeCloseTo(sorted[199]!.cosine, 12);
    }
  });

  it('TopK over blocks picks the k largest of the whole row', () => {
    const residual = random(33 * D_IN, 7);
    for (const blockValues of [64 * D_IN, 1 << 20]) {
      const { sae, encoder } = saeOf(3000, blockValues, 9);
      encodeResiduals(sae, residual).forEach(({ indices }, r) => {
        const z = Array.from({ length: 3000 }, (_, k) => {
          let sum = 0;
          for (let i = 0; i < D_IN; i++) sum += residual[r * D_IN + i]! * encoder[k * D_IN + i]!;
          return { k, sum };
        });
        const best = z.sort((a, b) => b.sum - a.sum).slice(0, 9);
        expect(indices).toEqual(best.map(({ k }) => k).sort((a, b) => a - b));
      });
    }
  });

  it('an answer that is too dense is refused before it fills the memory', () => {
    const { sae } = saeOf(2000, 1 << 20);
    expect(() => encodeResiduals(sae, random(2048 * D_IN))).toThrow(
      expect.objectContaining({
        code: 'REQUEST_TOO_LARGE',
        message:
          '2048 residuals give more than 1048576 activations. Send fewer rows, or name the features that you need.',
      }),
    );
  });

  it('a checkpoint that throws stops the work', () => {
    const { sae } = saeOf(2000, 1 << 20);
    let calls = 0;
    const stopAtThird = () => {
      if (++calls === 3) throw new Error('stop');
    };
    expect(() => encodeResiduals(sae, random(320 * D_IN), { checkpoint: stopAtThird })).toThrow('stop');
    expect(calls).toBe(3);
  });
});

describe('small parts', () => {
  it('TopList is a sort, ties to the lower index', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -4, max: 4 })), fc.integer({ min: 1, max: 12 }), (values, size) => {
        const list = new TopList(size);
        values.forEach((value, index) => {
          list.offer(index, value);
        });
        const sorted = values
          .map((value, index) => ({ index, value }))
          .sort((a, b) => b.value - a.value || a.index - b.index);
        expect(list.descending()).toEqual(sorted.slice(0, size));
      }),
    );
  });

  it('keepLargest keeps the order of indices, ties to the lower index', () => {
    expect(keepLargest({ indices: [2, 5, 6, 9], values: [1, 3, 1, 2] }, 3)).toEqual({
      indices: [2, 5, 9],
      values: [1, 3, 2],
    });
  });

  it('multiplyRows gives the plain dot products at every remainder of its tiles', () => {
    for (const [n, count, d] of [
      [1, 1, 1],
      [2, 4, 3],
      [3, 5, 7],
      [4, 9, 2],
      [5, 3, 6],
    ] as const) {
      const h = random(n * d, 2);
      const weights = random(count * d, 4);
      const out = new Float64Array(n * count);
      multiplyRows(h, n, weights, count, d, out);
      for (let r = 0; r < n; r++)
        for (let f = 0; f < count; f++) {
          let sum = 0;
          for (let i = 0; i < d; i++) sum += h[r * d + i]! * weights[f * d + i]!;
          expect(out[r * count + f]).toBeCloseTo(sum, 12);
        }
    }
  });
});
