/** Opens a model by its path, whatever it is stored as. */
import { openGguf } from '../../../shared/tensor-files/gguf.js';
import type { TensorSource } from '../../../shared/tensor-files/tensor-source.js';
import { GgufWeights, ggufSpec } from './gguf-model.js';
import { withAdapter } from './lora-adapter.js';
import type { ModelSpec } from './model-spec.js';

export interface OpenModel {
  readonly spec: ModelSpec;
  /** Under Hugging Face names, adapter merged. */
  readonly weights: TensorSource;
}

/** Faults: FILE_NOT_FOUND, TENSOR_FILE_*, SHAPE_MISMATCH (an adapter of another model). */
export function openModel(path: string, adapterPath?: string): OpenModel {
  const file = openGguf(path);
  const spec = ggufSpec(file);
  return { spec, weights: withAdapter(new GgufWeights(file, spec), adapterPath) };
}
