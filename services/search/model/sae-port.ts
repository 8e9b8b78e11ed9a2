/** What the search needs of the SAEs: shapes, nearest features, sparse activations, and the rows that edits are made of. */

import type { FeatureId } from '../../../shared/tensors/feature-name.js';
import type { Matrix } from '../../../shared/tensors/matrix.js';
import type { Positions } from '../../../shared/tensors/positions.js';
import type { Bank } from './bank.js';

export interface SaeShape {
  readonly layer: number;
  readonly dSae: number;
  readonly sha256: string;
}

export interface RankedFeature extends FeatureId {
  /** Of its decoder row with the direction, in [-1, 1]. */
  readonly cosine: number;
}

/** The non-zero activations of one residual, ascending by index, all above 0. */
export interface SparseActivations {
  readonly indices: readonly number[];
  readonly values: readonly number[];
}

export interface SaeSource {
  list(signal: AbortSignal): Promise<readonly SaeShape[]>;
  /** Descending by cosine. SAE_UNKNOWN if the layer has no SAE. */
  nearest(layer: number, vector: Float32Array, count: number, signal: AbortSignal): Promise<readonly RankedFeature[]>;
  /** One a row of `residual` [n, d_model]; `features` limits it to these, undefined means all. */
  encode(
    layer: number,
    residual: Matrix,
    features: readonly number[] | undefined,
    signal: AbortSignal,
  ): Promise<readonly SparseActivations[]>;
  /** The edits that ablate the features, by layer, then index. FEATURE_UNKNOWN for an index outside its SAE. */
  ablations(features: readonly FeatureId[], positions: Positions, signal: AbortSignal): Promise<Bank>;
}
