/**
 * Llama Scope (arXiv 2410.20526): `hyperparams.json` and `checkpoints/final.safetensors`, JumpReLU with one scalar threshold, trained
 * on inputs scaled by s = sqrt(d) / (average norm). The files do not say in which units the threshold is, and there are three
 * readings in use, so that none is taken on faith: the admission test measures all of them and keeps the best.
 */

import { openTensorFile } from '../../../shared/tensor-files/open-tensor-file.js';
import { type Reading, type SaeDescription, settledReading } from '../sae-description.js';
import { layerOfHook } from './hook-layer.js';
import { type Config, MAX_D_IN, MAX_D_SAE, type SaeFolder } from './sae-folder.js';
import type { SaeFormat } from './sae-format.js';
import { matrixAt, vectorAt } from './sae-tensors.js';

const CONFIG = 'hyperparams.json';
const FILE = 'checkpoints/final.safetensors';

const readingsOf = (config: Config, dIn: number): [Reading, ...Reading[]] => {
  const normalization = config.textOr('norm_activation', 'dataset-wise');
  if (normalization === 'none') return [settledReading({ kind: 'fixed', scale: 1 })];
  if (normalization !== 'dataset-wise')
    throw config.unsupported('norm_activation', 'Llama Scope SAEs are "dataset-wise" or "none".');
  const scale = Math.sqrt(dIn) / config.section('dataset_average_activation_norm').positive('in');
  const fixed = { kind: 'fixed', scale } as const;
  const plain: Reading[] = [
    { ...settledReading(fixed, 'dataset scale, threshold in scaled units (SAELens 6.18)'), thresholdFactor: scale },
    settledReading(fixed, 'dataset scale, threshold as stored'),
    settledReading({ kind: 'constant-norm' }, 'each residual scaled by its own norm, threshold as stored'),
  ];
  const byNorm = config.flagOr('sparsity_include_decoder_norm', false)
    ? plain.map((reading) => ({
        ...reading,
        name: `${reading.name}, times decoder norm`,
        thresholdByDecoderNorm: true,
      }))
    : [];
  return [...plain, ...byNorm] as [Reading, ...Reading[]];
};

const describe = (folder: SaeFolder): SaeDescription => {
  const config = folder.config(CONFIG);
  const activation = config.text('act_fn');
  if (activation.toLowerCase() !== 'jumprelu') throw config.unsupported('act_fn', 'Llama Scope SAEs are "jumprelu".');
  const shape = { dIn: config.wholeNumber('d_model', 1, MAX_D_IN), dSae: config.wholeNumber('d_sae', 1, MAX_D_SAE) };
  const out = config.textOr('hook_point_out', undefined);
  if (out !== undefined && out !== config.text('hook_point_in'))
    throw config.unsupported('hook_point_out', 'An SAE reads and writes the same place; this is a transcoder.');
  const path = folder.file(FILE);
  const source = openTensorFile(path);
  try {
    const l0 = config.positiveOr('top_k', undefined);
    return {
      folder: folder.path,
      file: path,
      format: 'llamascope',
      architecture: 'jumprelu',
      layer: layerOfHook(config.path, config.text('hook_point_in')),
      ...shape,
      encoder: matrixAt(source, 'encoder.weight', 'feature-rows', shape),
      decoder: matrixAt(source, 'decoder.weight', 'feature-columns', shape),
      bDec: vectorAt(source, 'decoder.bias', shape.dIn),
      vectors: {
        b_enc: vectorAt(source, 'encoder.bias', shape.dSae),
        threshold: { fill: config.positive('jump_relu_threshold') },
      },
      appliesBDec: config.flagOr('apply_decoder_bias_to_pre_encoder', false),
      readings: readingsOf(config, shape.dIn),
      published: { ...(l0 !== undefined && { l0 }) },
    };
  } finally {
    source.close();
  }
};

export const llamascope: SaeFormat = {
  name: 'llamascope',
  matches: (folder) => folder.has(CONFIG) && folder.has(FILE),
  describe,
};
