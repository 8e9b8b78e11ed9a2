/** The tiny SAEs of test/fixtures/sae with what SAELens, or the format's own code, computed with them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../../../shared/project/root.js';
import { openSafetensors } from '../../../shared/tensor-files/safetensors.js';

export const FIXTURES = join(projectRoot, 'test/fixtures/sae');

export interface SaeCase {
  readonly name: string;
  readonly folder: string;
  readonly layer: number;
  readonly format: string;
  readonly architecture: string;
  readonly features: readonly number[];
  readonly target: number;
  /** The reading that the case was made for. */
  readonly reading?: string;
  readonly editsExact?: boolean;
}

export const CASES = JSON.parse(readFileSync(join(FIXTURES, 'cases.json'), 'utf8')) as SaeCase[];

const expected = openSafetensors(join(FIXTURES, 'expected.safetensors'));

export const D_IN = 16;
export const D_SAE = 48;

export const expectedOf = (name: string, what: 'x' | 'acts' | 'recon' | 'edited'): Float32Array =>
  expected.readFloat32(`${name}.${what}`);

export const caseNamed = (name: string): SaeCase => CASES.find((one) => one.name === name)!;

/** max |a - b| over max |b| */
export const relativeDifference = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  if (a.length !== b.length) throw new Error(`${a.length} values against ${b.length}`);
  let worst = 0;
  let largest = 0;
  for (let i = 0; i < b.length; i++) {
    worst = Math.max(worst, Math.abs(a[i]! - b[i]!));
    largest = Math.max(largest, Math.abs(b[i]!));
  }
  return worst / largest;
};

/** Sparse rows as [n, d_sae]. */
export const dense = (
  rows: readonly { readonly indices: readonly number[]; readonly values: readonly number[] }[],
): Float32Array => {
  const out = new Float32Array(rows.length * D_SAE);
  rows.forEach(({ indices, values }, r) => {
    indices.forEach((index, k) => {
      out[r * D_SAE + index] = values[k]!;
    });
  });
  return out;
};

interface Rows {
  readonly read: Float32Array;
  readonly bias: Float32Array;
  readonly threshold: Float32Array;
  readonly write: Float32Array;
}

/** The edit primitive as types.proto writes it, with all edits on: x' = x + sum_k (c - a_k) W_k. */
export const applyEdits = (x: Float32Array, rows: Rows, target: number): Float32Array => {
  const out = Float32Array.from(x);
  for (let start = 0; start < x.length; start += D_IN)
    rows.bias.forEach((bias, k) => {
      let z = bias;
      for (let i = 0; i < D_IN; i++) z += x[start + i]! * rows.read[k * D_IN + i]!;
      const a = z > rows.threshold[k]! ? z : 0;
      for (let i = 0; i < D_IN; i++) out[start + i]! += (target - a) * rows.write[k * D_IN + i]!;
    });
  return out;
};
