/**
 * The common form of an SAE, in the paper's symbols, whatever file it came from:
 *
 *   h = (x - shift) * gainIn - b_dec * appliesBDec        (input-scale.ts)
 *   z_k = g_k * (h . W_enc[:, k]) + b_k                     a_k = z_k where z_k > t_k, else 0   (t_k >= 0)
 *   x_hat = (sum_k a_k s_k W_dec[k] + b_dec) * gainOut + shift
 *
 * Weights stay in their file and are read by blocks (feature-matrix.ts). It prevents formats and architectures from leaking into
 * the code that encodes, measures and hands out rows.
 */
import { fault } from '../../shared/errors/fault.js';
import type { FeatureMatrix } from './feature-matrix.js';
import type { InputScale } from './input-scale.js';

/** What turns dot products into activations, one entry a feature. */
export interface FeatureRule {
  /** b [d_sae]. */
  readonly bias: Float32Array;
  /** t [d_sae], each >= 0, so that an activation is never negative. */
  readonly threshold: Float32Array;
  /** g [d_sae]; absent: all 1. */
  readonly gain?: Float32Array;
  /** s [d_sae]; absent: all 1. */
  readonly writeScale?: Float32Array;
  /** TopK: only the k largest activations of a row stay. */
  readonly k?: number;
}

export interface Sae {
  readonly layer: number;
  readonly dIn: number;
  readonly dSae: number;
  /** Encoder columns as rows, [d_sae, d_in]. */
  readonly encoder: FeatureMatrix;
  /** W_dec [d_sae, d_in]. */
  readonly decoder: FeatureMatrix;
  readonly bDec: Float32Array;
  readonly appliesBDec: boolean;
  readonly inputScale: InputScale;
  readonly rule: FeatureRule;
}

/** Throws FEATURE_UNKNOWN unless every index is in [0, d_sae). */
export const assertFeatures = (layer: number, dSae: number, indices: Iterable<number>): void => {
  for (const index of indices)
    if (!Number.isInteger(index) || index < 0 || index >= dSae)
      throw fault(
        'FEATURE_UNKNOWN',
        `Feature ${layer}/${index} does not exist: the SAE of layer ${layer} has features ${layer}/0 to ${layer}/${dSae - 1}.`,
      );
};

/** Throws SHAPE_MISMATCH unless `width` is d_in. */
export const assertWidth = (what: string, layer: number, dIn: number, width: number): void => {
  if (width !== dIn)
    throw fault(
      'SHAPE_MISMATCH',
      `${what} is ${width} wide; the SAE of layer ${layer} reads residuals of ${dIn} values. Use an SAE of this model.`,
    );
};
