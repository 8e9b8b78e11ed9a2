/** The registry of on-disk formats and the choice among them by file names. Pickles are named and refused: reading one runs code. */
import { extname } from 'node:path';
import { fault } from '../../../shared/errors/fault.js';
import { quoted } from '../../../shared/tensor-files/tensor-file-faults.js';
import { gemmascope2 } from './gemmascope-2.js';
import { gemmascopeNpz } from './gemmascope-npz.js';
import { llamascope } from './llamascope.js';
import { llamascopeR1 } from './llamascope-r1.js';
import type { SaeFolder } from './sae-folder.js';
import type { SaeFormat } from './sae-format.js';
import { saelens } from './saelens.js';
import { sparsify } from './sparsify.js';

/** In order: no two of them match the same folder, but for a SAELens folder that also has a config.json. */
export const SAE_FORMATS: readonly SaeFormat[] = [
  saelens,
  sparsify,
  gemmascopeNpz,
  gemmascope2,
  llamascope,
  llamascopeR1,
];

const PICKLES: ReadonlySet<string> = new Set(['.pt', '.pth', '.bin', '.ckpt', '.pkl', '.pickle']);

/** The format of a folder; undefined if it holds no SAE. Throws TENSOR_FILE_UNSUPPORTED where all it holds is a pickle. */
export const findFormat = (folder: SaeFolder): SaeFormat | undefined => {
  const format = SAE_FORMATS.find((candidate) => candidate.matches(folder));
  const pickle = [...folder.files].find((file) => PICKLES.has(extname(file).toLowerCase()));
  if (format === undefined && pickle !== undefined)
    throw fault(
      'TENSOR_FILE_UNSUPPORTED',
      `${folder.path} holds ${quoted(pickle)}, a Python pickle: reading one can run any code, so it is not read. ` +
        'Load it where you trust it and save it with SAELens (sae.save_model(folder)) as cfg.json and sae_weights.safetensors.',
    );
  return format;
};
