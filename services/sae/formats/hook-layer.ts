/**
 * Names of hook points to the block whose output they are. Edits act on outputs of blocks alone, so that an SAE of another place
 * (attention, MLP, a transcoder) is refused here and never applied to the wrong tensor.
 */
import { fault } from '../../../shared/errors/fault.js';
import { quoted } from '../../../shared/tensor-files/tensor-file-faults.js';

/** TransformerLens names and the module names of Hugging Face models. */
const RESIDUAL_AFTER = [/^blocks\.(\d{1,4})\.hook_resid_post$/, /^(?:model\.)?layers\.(\d{1,4})(?:\.output)?$/];
/** The residual before block N is the output of block N - 1. */
const RESIDUAL_BEFORE = /^blocks\.(\d{1,4})\.hook_resid_pre$/;

/** `path` is the file that names the hook. Throws TENSOR_FILE_UNSUPPORTED. */
export const layerOfHook = (path: string, hook: string): number => {
  for (const pattern of RESIDUAL_AFTER) {
    const match = pattern.exec(hook);
    if (match !== null) return Number(match[1]);
  }
  const before = Number(RESIDUAL_BEFORE.exec(hook)?.[1] ?? 0);
  if (before > 0) return before - 1;
  throw fault(
    'TENSOR_FILE_UNSUPPORTED',
    `${path}: the SAE encodes ${quoted(hook)}. Only SAEs on the output of a block are read (blocks.N.hook_resid_post, or hook_resid_pre from block 1 on).`,
  );
};

/** The layer in folder names such as `layer_12`, `layer_12_width_16k_l0_small` or `layers.12`; the innermost one counts. */
export const layerOfFolder = (path: string, names: readonly string[], pattern: RegExp): number => {
  for (const name of [...names].reverse()) {
    const match = pattern.exec(name);
    if (match !== null) return Number(match[1]);
  }
  throw fault(
    'CONFIG_INVALID',
    `${path}: this format tells the layer by its folder (${quoted(pattern.source)}), and none of ${names.map(quoted).join(', ')} does. Keep the folders of the release.`,
  );
};
