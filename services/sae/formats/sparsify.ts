/**
 * EleutherAI sparsify: `layers.{L}/cfg.json` and `sae.safetensors`, TopK. Its own code takes b_dec off the input whatever
 * `normalize_decoder` says (sparse_coder.py of eai-sparsify 1.3.3), and so does this reader; SAELens 6.54 does not for some.
 */

import { openTensorFile } from '../../../shared/tensor-files/open-tensor-file.js';
import { type SaeDescription, UNSCALED, type VectorPlace } from '../sae-description.js';
import { layerOfFolder } from './hook-layer.js';
import { type Config, MAX_D_IN, MAX_D_SAE, type SaeFolder } from './sae-folder.js';
import type { SaeFormat } from './sae-format.js';
import { matrixAt, nameOf, vectorAt } from './sae-tensors.js';

const CONFIG = 'cfg.json';
const FILE = 'sae.safetensors';

const assertSupported = (config: Config): void => {
  if (config.textOr('activation', 'topk') !== 'topk') throw config.unsupported('activation', 'Only "topk" is.');
  if (config.flagOr('signed', false))
    throw config.unsupported('signed', 'Signed activations cannot be edited one-sided.');
  if (config.flagOr('transcode', false)) throw config.unsupported('transcode', 'Transcoders are no SAEs.');
};

const describe = (folder: SaeFolder): SaeDescription => {
  const config = folder.config(CONFIG);
  assertSupported(config);
  const dIn = config.wholeNumber('d_in', 1, MAX_D_IN);
  // num_latents is written as 0 where expansion_factor counts.
  const stated = config.raw('num_latents');
  const dSae = stated
    ? config.wholeNumber('num_latents', 1, MAX_D_SAE)
    : dIn * config.wholeNumber('expansion_factor', 1, 4096);
  const shape = { dIn, dSae };
  const path = folder.file(FILE);
  const source = openTensorFile(path);
  try {
    const vector = (names: readonly [string, ...string[]], length: number): VectorPlace =>
      names.some((name) => source.has(name)) ? vectorAt(source, nameOf(source, names), length) : { fill: 0 };
    const k = config.wholeNumber('k', 1, dSae);
    return {
      folder: folder.path,
      file: path,
      format: 'sparsify',
      architecture: 'topk',
      layer: layerOfFolder(path, folder.names, /^layers[._](\d{1,4})$/),
      ...shape,
      encoder: source.has('W_enc')
        ? matrixAt(source, 'W_enc', 'feature-columns', shape)
        : matrixAt(source, 'encoder.weight', 'feature-rows', shape),
      decoder: source.has('decoder.weight')
        ? matrixAt(source, 'decoder.weight', 'feature-columns', shape)
        : matrixAt(source, 'W_dec', 'feature-rows', shape),
      bDec: vector(['b_dec', 'decoder.bias'], dIn),
      vectors: { b_enc: vector(['encoder.bias', 'b_enc'], dSae) },
      appliesBDec: true,
      k,
      readings: [UNSCALED],
      published: { l0: k },
    };
  } finally {
    source.close();
  }
};

export const sparsify: SaeFormat = {
  name: 'sparsify',
  matches: (folder) => folder.has(CONFIG) && folder.has(FILE),
  describe,
};
