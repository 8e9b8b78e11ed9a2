/**
 * Llama Scope R1 (SAEs of DeepSeek-R1-Distill-Llama-8B): `config.json` and `sae_weights.safetensors` with one log-threshold a feature.
 * The training scale sqrt(d) / (average norm) is not in the files: `norm_scaling_factor` in config.json gives it; without it the
 * admission test compares the scale measured on its residuals with no scale and with the norm of each residual.
 */

import { openTensorFile } from '../../../shared/tensor-files/open-tensor-file.js';
import { type Reading, type SaeDescription, settledReading } from '../sae-description.js';
import { layerOfHook } from './hook-layer.js';
import { MAX_D_IN, type SaeFolder } from './sae-folder.js';
import type { SaeFormat } from './sae-format.js';
import { matrixAt, vectorAt } from './sae-tensors.js';
import { unknownScaleReadings } from './unknown-scale.js';

const CONFIG = 'config.json';
const FILE = 'sae_weights.safetensors';
const MAX_EXPANSION = 1024;

const describe = (folder: SaeFolder): SaeDescription => {
  const config = folder.config(CONFIG);
  const dIn = config.wholeNumber('d_model', 1, MAX_D_IN);
  const shape = { dIn, dSae: dIn * config.wholeNumber('expansion_factor', 1, MAX_EXPANSION) };
  const scale = config.positiveOr('norm_scaling_factor', undefined);
  const readings: readonly [Reading, ...Reading[]] =
    scale === undefined ? unknownScaleReadings() : [settledReading({ kind: 'fixed', scale }, 'stated scale')];
  const path = folder.file(FILE);
  const source = openTensorFile(path);
  try {
    const threshold = vectorAt(source, 'log_jumprelu_threshold', shape.dSae);
    return {
      folder: folder.path,
      file: path,
      format: 'llamascope-r1',
      architecture: 'jumprelu',
      layer: layerOfHook(config.path, config.text('hook_point_in')),
      ...shape,
      encoder: matrixAt(source, 'encoder.weight', 'feature-rows', shape),
      decoder: matrixAt(source, 'decoder.weight', 'feature-columns', shape),
      bDec: vectorAt(source, 'decoder.bias', shape.dIn),
      vectors: { b_enc: vectorAt(source, 'encoder.bias', shape.dSae), threshold: { ...threshold, exp: true } },
      appliesBDec: false,
      readings,
      published: {},
    };
  } finally {
    source.close();
  }
};

export const llamascopeR1: SaeFormat = {
  name: 'llamascope-r1',
  matches: (folder) => folder.has(CONFIG) && folder.has(FILE),
  describe,
};
