/**
 * How well an SAE fits residuals: fraction of variance unexplained, L0, dead share. Sums in float64, a chunk of rows at a time, so
 * that an SAE which is wrong for its input (half of all features on) is measured like any other and does not exhaust memory.
 */
import { fault } from '../../shared/errors/fault.js';
import { encodeResiduals, MAX_ACTIVATIONS } from './encode-residuals.js';
import { scaleOfRow } from './input-scale.js';
import type { Sae } from './sae.js';
import type { SparseRow } from './sparse-rows.js';

export interface Fit {
  /** sum |x - x_hat|^2 / sum |x - mean(x)|^2; may be infinite for an SAE that does not fit at all. */
  readonly fvu: number;
  /** Mean number of active features a row. */
  readonly l0: number;
  /** Share of features that fired on no row, in [0, 1]. */
  readonly deadShare: number;
  readonly rows: number;
}

/** Many enough to make use of each read of the weights. */
const CHUNK_ROWS = 256;

/** residual [n, d_in]. `onRows` sees each chunk's activations. Throws REQUEST_INVALID if all residuals are alike. */
export const measureFit = (
  sae: Sae,
  residual: Float32Array,
  checkpoint?: () => void,
  onRows: (rows: readonly SparseRow[]) => void = () => {},
): Fit => {
  const n = residual.length / sae.dIn;
  const variance = sumOfVariance(residual, sae.dIn);
  if (variance === 0)
    throw fault(
      'REQUEST_INVALID',
      `All ${n} residuals are equal: nothing can be measured on them. Send different positions.`,
    );
  const fired = new Uint8Array(sae.dSae);
  const step = Math.max(1, Math.min(CHUNK_ROWS, Math.floor(MAX_ACTIVATIONS / sae.dSae)));
  let active = 0;
  let unexplained = 0;
  for (let start = 0; start < n; start += step) {
    const chunk = residual.subarray(start * sae.dIn, Math.min(n, start + step) * sae.dIn);
    const rows = encodeResiduals(sae, chunk, { ...(checkpoint && { checkpoint }) });
    for (const { indices } of rows) {
      active += indices.length;
      for (const index of indices) fired[index] = 1;
    }
    unexplained += squaredDistance(chunk, reconstruct(sae, chunk, rows, checkpoint));
    onRows(rows);
  }
  const dead = fired.reduce((count, value) => count + (value === 0 ? 1 : 0), 0);
  const fvu = unexplained / variance;
  return {
    fvu: Number.isNaN(fvu) ? Number.POSITIVE_INFINITY : fvu,
    l0: active / n,
    deadShare: dead / sae.dSae,
    rows: n,
  };
};

/** x_hat [n, d_in] of encoded residuals. Formula: the head of sae.ts. */
export const reconstruct = (
  sae: Sae,
  residual: Float32Array,
  rows: readonly SparseRow[],
  checkpoint?: () => void,
): Float64Array => {
  const d = sae.dIn;
  const out = new Float64Array(residual.length);
  const next = new Uint32Array(rows.length);
  for (const block of sae.decoder.blocks()) {
    checkpoint?.();
    rows.forEach(({ indices, values }, r) => {
      for (; next[r]! < indices.length && indices[next[r]!]! < block.start + block.count; next[r]!++) {
        const feature = indices[next[r]!]!;
        const amount = values[next[r]!]! * (sae.rule.writeScale?.[feature] ?? 1);
        addScaled(out, r * d, block.values, (feature - block.start) * d, d, amount);
      }
    });
  }
  rows.forEach((_, r) => {
    const scale = scaleOfRow(sae.inputScale, residual.subarray(r * d, (r + 1) * d));
    for (let i = 0; i < d; i++) out[r * d + i] = (out[r * d + i]! + sae.bDec[i]!) * scale.gainOut + scale.shift;
  });
  return out;
};

const addScaled = (out: Float64Array, at: number, row: Float32Array, from: number, d: number, amount: number): void => {
  for (let i = 0; i < d; i++) out[at + i]! += amount * row[from + i]!;
};

const squaredDistance = (x: Float32Array, y: Float64Array): number => {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += (x[i]! - y[i]!) ** 2;
  return sum;
};

const sumOfVariance = (residual: Float32Array, d: number): number => {
  const n = residual.length / d;
  let total = 0;
  for (let i = 0; i < d; i++) {
    let mean = 0;
    for (let r = 0; r < n; r++) mean += residual[r * d + i]! / n;
    for (let r = 0; r < n; r++) total += (residual[r * d + i]! - mean) ** 2;
  }
  return total;
};
