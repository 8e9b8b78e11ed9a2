/**
 * What a format says about one SAE on disk: plain data, made from configs and file headers alone, so that hundreds of SAEs can be
 * listed without reading a weight.
 */
import type { InputScale } from './input-scale.js';

export type ArchitectureName = 'jumprelu' | 'standard' | 'topk' | 'gated';
export type FormatName = 'saelens' | 'gemmascope-npz' | 'gemmascope-2' | 'llamascope' | 'llamascope-r1' | 'sparsify';

/** `feature-rows`: [d_sae, d_in]. `feature-columns`: [d_in, d_sae]. */
export interface MatrixPlace {
  readonly tensor: string;
  readonly layout: 'feature-rows' | 'feature-columns';
}

/** A vector of the file (its exponential, if `exp`), or one value for all entries. */
export type VectorPlace = { readonly tensor: string; readonly exp?: boolean } | { readonly fill: number };

export type VectorSymbol = 'b_enc' | 'threshold' | 'b_gate' | 'b_mag' | 'r_mag';

/**
 * One way to understand files that leave the normalization open. `measured-mean` is a fixed scale sqrt(d) / mean |x|, taken from
 * the residuals of the admission test.
 */
export interface Reading {
  readonly name: string;
  readonly inputScale: InputScale | { readonly kind: 'measured-mean' };
  readonly thresholdFactor: number;
  /** The threshold is one for z |W_dec[k]| instead of z. */
  readonly thresholdByDecoderNorm: boolean;
}

export interface SaeDescription {
  readonly folder: string;
  /** The weights file, absolute or as the folder was given. */
  readonly file: string;
  readonly format: FormatName;
  readonly architecture: ArchitectureName;
  /** The block whose output is encoded. */
  readonly layer: number;
  readonly dIn: number;
  readonly dSae: number;
  readonly encoder: MatrixPlace;
  readonly decoder: MatrixPlace;
  readonly bDec: VectorPlace;
  readonly vectors: Readonly<Partial<Record<VectorSymbol, VectorPlace>>>;
  readonly appliesBDec: boolean;
  /** Only topk. */
  readonly k?: number;
  /** Only topk: features compete by z |W_dec[k]|. */
  readonly rescalesByDecoderNorm?: boolean;
  /** One reading: settled. More: the admission test decides. */
  readonly readings: readonly [Reading, ...Reading[]];
  readonly published: { readonly l0?: number; readonly fvu?: number };
}

export const settledReading = (inputScale: InputScale, name = 'as stated'): Reading => ({
  name,
  inputScale,
  thresholdFactor: 1,
  thresholdByDecoderNorm: false,
});

export const UNSCALED = settledReading({ kind: 'fixed', scale: 1 });
