/** All fuzz targets, in the order of the table; a reader of bytes that are not ours belongs here. */
import type { FuzzTarget } from '../harness/fuzz-target.js';
import { consoleRequests } from './console-requests.js';
import { CONTROLS } from './controls.js';
import { dequantize } from './dequantize.js';
import { gguf, ggufModel } from './gguf.js';
import { loraAdapter, modelConfig } from './model-files.js';
import { evaluateLine, promptFile, promptSet } from './prompt-files.js';
import { auditLog, busMessages, checkpoints, evaluationLog, manifest, report } from './records.js';
import { RPC_TARGETS } from './rpc.js';
import { SAE_TARGETS } from './sae-formats.js';
import { jwks, jwt } from './security.js';
import { settings } from './settings.js';
import { anyTensorFile, npz, safetensors, safetensorsSharded } from './tensor-files.js';
import { chatTemplate, tokenizerJson, tokenizerModel } from './tokenizers.js';
import { masks, matrices, positions } from './wire-values.js';

export const FUZZ_TARGETS: readonly FuzzTarget[] = [
  dequantize,
  gguf,
  ggufModel,
  safetensors,
  safetensorsSharded,
  npz,
  anyTensorFile,
  ...SAE_TARGETS,
  modelConfig,
  loraAdapter,
  tokenizerJson,
  tokenizerModel,
  chatTemplate,
  promptSet,
  promptFile,
  evaluateLine,
  masks,
  matrices,
  positions,
  report,
  manifest,
  evaluationLog,
  checkpoints,
  auditLog,
  busMessages,
  settings,
  jwt,
  jwks,
  consoleRequests,
  ...RPC_TARGETS,
];

/** Controls as well. Throws for a name that no target has. */
export const findTarget = (name: string): FuzzTarget => {
  const found = [...FUZZ_TARGETS, ...CONTROLS].find((target) => target.name === name);
  if (found !== undefined) return found;
  throw new Error(`There is no target "${name}": choose of ${FUZZ_TARGETS.map((target) => target.name).join(', ')}.`);
};
