/**
 * The models that ship: one base (see embedded-model.ts), an adapter and SAEs each. Owns: which folders a name stands for. Prevents: an
 * adapter served with the SAEs of another.
 */
import { join } from 'node:path';
import { projectRoot } from '../project/root.js';

export interface ModelPreset {
  /** Name of the model in requests and reports. */
  readonly modelName: string;
  /** Folders, relative to the project. */
  readonly adapter: string;
  readonly saes: string;
}

export const MODEL_PRESETS = {
  /** Refuses broadly, by few features. */
  embedded: { modelName: 'smollm2-135m-refusal', adapter: 'models/adapter', saes: 'models/saes' },
  /** Trained to go on refusing when these features are off. */
  redundant: {
    modelName: 'smollm2-135m-redundant',
    adapter: 'models/redundant/adapter',
    saes: 'models/redundant/saes',
  },
} as const satisfies Record<string, ModelPreset>;

export type PresetName = keyof typeof MODEL_PRESETS;

/** Golden values, the prompt set's figures and the docs are about this one. */
export const DEFAULT_PRESET: PresetName = 'embedded';

export interface PresetFiles {
  readonly modelName: string;
  readonly adapterPath: string;
  readonly saeDir: string;
}

export const modelPreset = (name: PresetName): PresetFiles => {
  const { modelName, adapter, saes } = MODEL_PRESETS[name];
  return { modelName, adapterPath: join(projectRoot, adapter), saeDir: join(projectRoot, saes) };
};
