/**
 * The rows of the edit primitive for features of one SAE (formula: LayerEdits in types.proto; symbols: sae.ts):
 *
 *   R_k = g_k gainIn W_enc[:, k]   b = b_k - g_k appliesBDec b_dec . W_enc[:, k]   t = t_k   W_k = s_k W_dec[k] / gainIn
 *
 * b_dec folds into b exactly. A layer norm takes the mean off the residual, which is the same as taking it off the row.
 * Only the rows that are asked for are read.
 */
import type { EditForm } from './edit-form.js';
import { dot } from './multiply-rows.js';
import { assertFeatures, type Sae } from './sae.js';

/** K edits, in the order of the features given. */
export interface EditRows {
  /** R transposed [K, d_in] */
  readonly read: Float32Array;
  readonly bias: Float32Array;
  readonly threshold: Float32Array;
  /** W [K, d_in] */
  readonly write: Float32Array;
}

/** Throws FEATURE_UNKNOWN, NOT_FINITE (weights). */
export const buildEditRows = (sae: Sae, form: EditForm, features: readonly number[]): EditRows => {
  assertFeatures(sae.layer, sae.dSae, features);
  const { dIn: d, rule } = sae;
  const read = sae.encoder.rows(features);
  const write = sae.decoder.rows(features);
  const bias = new Float32Array(features.length);
  const threshold = new Float32Array(features.length);
  features.forEach((feature, k) => {
    const gain = rule.gain?.[feature] ?? 1;
    const folded = sae.appliesBDec ? dot(sae.bDec, 0, read, k * d, d) : 0;
    bias[k] = rule.bias[feature]! - gain * folded;
    threshold[k] = form.threshold ?? rule.threshold[feature]!;
    const row = read.subarray(k * d, (k + 1) * d);
    if (sae.inputScale.kind === 'layer-norm') centre(row);
    scaleRow(row, gain * form.gainIn);
    scaleRow(write.subarray(k * d, (k + 1) * d), (rule.writeScale?.[feature] ?? 1) / form.gainIn);
  });
  return { read, bias, threshold, write };
};

const centre = (row: Float32Array): void => {
  const mean = row.reduce((sum, value) => sum + value, 0) / row.length;
  for (let i = 0; i < row.length; i++) row[i]! -= mean;
};

const scaleRow = (row: Float32Array, factor: number): void => {
  if (factor === 1) return;
  for (let i = 0; i < row.length; i++) row[i]! *= factor;
};
