/**
 * Gemma Scope (arXiv 2408.05147): `layer_{L}/width_{W}/average_l0_{n}/params.npz`, JumpReLU, no config: layer and published L0
 * stand in the folder names. b_dec is not taken off the input. Keys are W_enc or w_enc, by release.
 */
import { fault } from '../../../shared/errors/fault.js';
import { openTensorFile } from '../../../shared/tensor-files/open-tensor-file.js';
import { type SaeDescription, UNSCALED } from '../sae-description.js';
import { layerOfFolder } from './hook-layer.js';
import type { SaeFolder } from './sae-folder.js';
import type { SaeFormat } from './sae-format.js';
import { matrixAt, nameOf, shapeFromMatrix, vectorAt } from './sae-tensors.js';

const FILE = 'params.npz';
/** Sister releases with the same files at other places of the model. */
const OTHER_PLACES = /-(?:att|mlp|transcoders?)(?:-|$)|^embedding$/;

const describe = (folder: SaeFolder): SaeDescription => {
  const path = folder.file(FILE);
  const other = folder.names.find((name) => OTHER_PLACES.test(name));
  if (other !== undefined)
    throw fault(
      'TENSOR_FILE_UNSUPPORTED',
      `${path}: ${JSON.stringify(other)} holds SAEs of another place than the residual stream; use the -res release.`,
    );
  const layer = layerOfFolder(path, folder.names, /^layer_(\d{1,4})$/);
  const source = openTensorFile(path);
  try {
    const decoder = { tensor: nameOf(source, ['W_dec', 'w_dec']), layout: 'feature-rows' } as const;
    const shape = shapeFromMatrix(source, decoder);
    return {
      folder: folder.path,
      file: path,
      format: 'gemmascope-npz',
      architecture: 'jumprelu',
      layer,
      ...shape,
      encoder: matrixAt(source, nameOf(source, ['W_enc', 'w_enc']), 'feature-columns', shape),
      decoder,
      bDec: vectorAt(source, 'b_dec', shape.dIn),
      vectors: {
        b_enc: vectorAt(source, 'b_enc', shape.dSae),
        threshold: vectorAt(source, 'threshold', shape.dSae),
      },
      appliesBDec: false,
      readings: [UNSCALED],
      published: publishedL0(folder.names),
    };
  } finally {
    source.close();
  }
};

const publishedL0 = (names: readonly string[]): { l0?: number } => {
  const match = names.map((name) => /^average_l0_(\d{1,6})$/.exec(name)).find((found) => found !== null);
  return match === undefined ? {} : { l0: Number(match?.[1]) };
};

export const gemmascopeNpz: SaeFormat = {
  name: 'gemmascope-npz',
  matches: (folder) => folder.has(FILE),
  describe,
};
