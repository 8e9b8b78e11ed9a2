/** Opens the weights that a description names and puts them into the common form, under one reading of their normalization. */
import { fault } from '../../shared/errors/fault.js';
import { openTensorFile } from '../../shared/tensor-files/open-tensor-file.js';
import { quoted } from '../../shared/tensor-files/tensor-file-faults.js';
import type { TensorSource } from '../../shared/tensor-files/tensor-source.js';
import { findArchitecture } from './architectures/find-architecture.js';
import type { BlockCache } from './block-cache.js';
import { FeatureMatrix } from './feature-matrix.js';
import type { InputScale } from './input-scale.js';
import { rowNorm } from './nearest-features.js';
import type { FeatureRule, Sae } from './sae.js';
import type { MatrixPlace, Reading, SaeDescription, VectorPlace } from './sae-description.js';
import { featureColumnsOf, featureRowsOf } from './stored-matrix.js';

/** An open SAE of which readings are still to choose. Vectors are in memory, matrices are in the file. */
export interface OpenSae {
  readonly description: SaeDescription;
  /** `inputScale` is what the reading's `measured-mean` came out as. */
  as(reading: Reading, inputScale: InputScale): Sae;
  close(): void;
}

/** Throws the faults of the file, and NOT_FINITE for a NaN or an infinity in a vector. */
export const openSae = (description: SaeDescription, cache: BlockCache): OpenSae => {
  const source = openTensorFile(description.file);
  const encoder = openMatrix(source, description.encoder, cache);
  const decoder = openMatrix(source, description.decoder, cache);
  const bDec = readVector(source, description.bDec, description.dIn);
  const decoderNorms = onceOnly(() => normsOf(decoder.matrix));
  const rule = findArchitecture(description.architecture).buildRule({
    description,
    vector: (symbol) => readVector(source, description.vectors[symbol]!, description.dSae),
    decoderNorms,
  });
  const { layer, dIn, dSae, appliesBDec } = description;
  return {
    description,
    as: (reading, inputScale) => ({
      layer,
      dIn,
      dSae,
      encoder: encoder.matrix,
      decoder: decoder.matrix,
      bDec,
      appliesBDec,
      inputScale,
      rule: withThreshold(rule, reading, decoderNorms),
    }),
    close: () => {
      encoder.close();
      decoder.close();
      source.close();
    },
  };
};

const openMatrix = (source: TensorSource, { tensor, layout }: MatrixPlace, cache: BlockCache) => {
  const stored = layout === 'feature-rows' ? featureRowsOf(source, tensor) : featureColumnsOf(source, tensor);
  return { matrix: new FeatureMatrix(`${source.path}: tensor ${quoted(tensor)}`, stored, cache), close: stored.close };
};

const readVector = (source: TensorSource, place: VectorPlace, length: number): Float32Array => {
  if ('fill' in place) return new Float32Array(length).fill(place.fill);
  const stored = source.readFloat32(place.tensor);
  const values = place.exp === true ? stored.map(Math.exp) : stored;
  const bad = values.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0)
    throw fault(
      'NOT_FINITE',
      `${source.path}: tensor ${quoted(place.tensor)} gives ${values[bad]} at ${bad}; an SAE with such weights cannot be used. Fetch or convert it again.`,
    );
  return values;
};

const withThreshold = (rule: FeatureRule, reading: Reading, decoderNorms: () => Float32Array): FeatureRule => {
  if (reading.thresholdFactor === 1 && !reading.thresholdByDecoderNorm) return rule;
  const norms = reading.thresholdByDecoderNorm ? decoderNorms() : undefined;
  const threshold = rule.threshold.map((value, k) => {
    const norm = norms === undefined ? 1 : norms[k]!;
    // A dead decoder row writes nothing, so that its threshold does not matter.
    return norm === 0 ? value : (value * reading.thresholdFactor) / norm;
  });
  return { ...rule, threshold };
};

const normsOf = (decoder: FeatureMatrix): Float32Array => {
  const norms = new Float32Array(decoder.features);
  for (const block of decoder.blocks())
    for (let k = 0; k < block.count; k++) norms[block.start + k] = rowNorm(block.values, k, decoder.width);
  return norms;
};

const onceOnly = <Value>(make: () => Value): (() => Value) => {
  let made: Value | undefined;
  return () => {
    made ??= make();
    return made;
  };
};
