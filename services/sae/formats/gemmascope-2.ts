/**
 * Gemma Scope 2 (Gemma 3): `resid_post[_all]/layer_{L}_width_{W}_l0_{size}/` with config.json and params.safetensors. The hook point
 * is named in Hugging Face's words; some folders lack the config, and then the folder names say place and layer.
 */
import { fault } from '../../../shared/errors/fault.js';
import { openTensorFile } from '../../../shared/tensor-files/open-tensor-file.js';
import { type SaeDescription, UNSCALED } from '../sae-description.js';
import { layerOfFolder, layerOfHook } from './hook-layer.js';
import type { SaeFolder } from './sae-folder.js';
import type { SaeFormat } from './sae-format.js';
import { matrixAt, shapeFromMatrix, vectorAt } from './sae-tensors.js';

const FILE = 'params.safetensors';
const CONFIG = 'config.json';

const place = (folder: SaeFolder): { layer: number; l0?: number } => {
  const path = folder.file(FILE);
  if (!folder.has(CONFIG)) {
    if (!folder.names.some((name) => name.startsWith('resid_post')))
      throw fault(
        'TENSOR_FILE_UNSUPPORTED',
        `${path} has no ${CONFIG} and is not under a resid_post folder, so that its place in the model is unknown. Keep the folders of the release.`,
      );
    return { layer: layerOfFolder(path, folder.names, /^layer_(\d{1,4})(?:_|$)/) };
  }
  const config = folder.config(CONFIG);
  if (!['jump_relu', 'jumprelu'].includes(config.text('architecture')))
    throw config.unsupported('architecture', 'Gemma Scope 2 SAEs are "jump_relu".');
  if (config.flagOr('affine_connection', false))
    throw config.unsupported('affine_connection', 'Transcoders are no SAEs.');
  const layer = layerOfHook(config.path, config.text('hf_hook_point_in'));
  const out = config.textOr('hf_hook_point_out', undefined);
  if (out !== undefined && out !== config.text('hf_hook_point_in'))
    throw config.unsupported('hf_hook_point_out', 'An SAE reads and writes the same place; this is a transcoder.');
  const l0 = config.positiveOr('l0', undefined);
  return { layer, ...(l0 !== undefined && { l0 }) };
};

const describe = (folder: SaeFolder): SaeDescription => {
  const { layer, l0 } = place(folder);
  const path = folder.file(FILE);
  const source = openTensorFile(path);
  try {
    const decoder = { tensor: 'w_dec', layout: 'feature-rows' } as const;
    const shape = shapeFromMatrix(source, decoder);
    return {
      folder: folder.path,
      file: path,
      format: 'gemmascope-2',
      architecture: 'jumprelu',
      layer,
      ...shape,
      encoder: matrixAt(source, 'w_enc', 'feature-columns', shape),
      decoder,
      bDec: vectorAt(source, 'b_dec', shape.dIn),
      vectors: {
        b_enc: vectorAt(source, 'b_enc', shape.dSae),
        threshold: vectorAt(source, 'threshold', shape.dSae),
      },
      appliesBDec: false,
      readings: [UNSCALED],
      published: { ...(l0 !== undefined && { l0 }) },
    };
  } finally {
    source.close();
  }
};

export const gemmascope2: SaeFormat = {
  name: 'gemmascope-2',
  matches: (folder) => folder.has(FILE),
  describe,
};
