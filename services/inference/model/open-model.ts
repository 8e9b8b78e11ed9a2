/**
 * Opens a model by its path, whatever it is stored as: a GGUF file, a folder of Hugging Face files, or a folder with one GGUF file.
 * What comes back is checked against itself: every weight is there in the shape that the config gives.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fault } from '../../../shared/errors/fault.js';
import { openGguf } from '../../../shared/tensor-files/gguf.js';
import { openSafetensors } from '../../../shared/tensor-files/safetensors.js';
import { isFolder } from '../../../shared/tensor-files/safetensors-index.js';
import type { TensorSource } from '../../../shared/tensor-files/tensor-source.js';
import { assertWeights } from './assert-weights.js';
import { ggufSpec } from './gguf-model.js';
import { GgufWeights } from './gguf-weights.js';
import { readHuggingfaceConfig } from './huggingface-config.js';
import { huggingfaceSpec } from './huggingface-model.js';
import { HuggingfaceWeights } from './huggingface-weights.js';
import { LoraAdapter } from './lora-adapter.js';
import { LoraMergedWeights } from './lora-merged-weights.js';
import type { ModelSpec } from './model-spec.js';

export interface OpenModel {
  readonly spec: ModelSpec;
  readonly format: 'gguf' | 'huggingface';
  /** Under Hugging Face names, adapter merged. Closing it closes all files. */
  readonly weights: TensorSource;
  /** The same without the adapter, for graphs that add its branch themselves. */
  readonly base: TensorSource;
  readonly adapter?: LoraAdapter;
  /** The files that decide what the model computes, in a fixed order: what a digest of it covers. */
  readonly files: readonly string[];
}

type BaseModel = Pick<OpenModel, 'spec' | 'format' | 'base' | 'files'>;

/** Faults: FILE_NOT_FOUND, TENSOR_FILE_*, TENSOR_NOT_FOUND, SHAPE_MISMATCH (weights of another config, an adapter of another model). */
export function openModel(path: string, adapterPath?: string): OpenModel {
  const model = isFolder(path) ? openFolder(path) : openGgufModel(path);
  try {
    assertWeights(model.spec, model.base);
    if (adapterPath === undefined) return { ...model, weights: model.base };
    const adapter = new LoraAdapter(adapterPath, model.base);
    const files = [...model.files, ...adapter.files];
    return { ...model, adapter, files, weights: new LoraMergedWeights(model.base, adapter) };
  } catch (thrown) {
    model.base.close();
    throw thrown;
  }
}

function openGgufModel(path: string): BaseModel {
  const file = openGguf(path);
  try {
    const spec = ggufSpec(file);
    return { spec, format: 'gguf', base: new GgufWeights(file, spec), files: [path] };
  } catch (thrown) {
    file.close();
    throw thrown;
  }
}

function openFolder(folder: string): BaseModel {
  const names = readdirSync(folder);
  if (names.includes('config.json')) return openHuggingfaceModel(folder);
  const gguf = names.filter((name) => name.toLowerCase().endsWith('.gguf')).sort();
  if (gguf.length === 1) return openGgufModel(join(folder, gguf[0]));
  throw fault(
    'FILE_NOT_FOUND',
    gguf.length === 0
      ? `${folder} holds neither config.json nor a .gguf file. Give a folder of Hugging Face files, or a GGUF file.`
      : `${folder} holds ${gguf.length} GGUF files (${gguf.slice(0, 5).join(', ')}). Name the one to use.`,
  );
}

function openHuggingfaceModel(folder: string): BaseModel {
  const config = readHuggingfaceConfig(folder);
  const spec = huggingfaceSpec(config);
  const source = openSafetensors(folder);
  const files = [config.path, ...new Set(source.list().map(({ file }) => file))];
  return { spec, format: 'huggingface', base: new HuggingfaceWeights(source), files };
}
