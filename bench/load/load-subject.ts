/** What is asked for under load: the model, its prompts, and the candidates whose masks are drawn at random. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readEmbeddedPrompts } from '../../services/cli/prompt-file.js';
import { ensureEmbeddedModel } from '../../shared/model-store/ensure-model-file.js';
import { projectRoot } from '../../shared/project/root.js';
import { type FeatureId, parseFeature } from '../../shared/tensors/feature-name.js';
import { golden, nearestFeatures, openSaeStore } from '../engine/workload.js';
import { loadMechanism } from '../truth/mechanism.js';
import { plantModel } from '../truth/plant/plant-model.js';

export interface LoadSubject {
  readonly name: string;
  readonly modelEnvironment: Readonly<Record<string, string>>;
  readonly saeEnvironment: Readonly<Record<string, string>>;
  /** What both servers are told: more calls than this at once are refused. */
  readonly maxCalls: number;
  readonly prompts: readonly string[];
  readonly features: readonly FeatureId[];
  close(): void;
}

const CANDIDATES_A_LAYER = 20;

export const CALLS_AT_ONCE = {
  // A seventh of a second of its capacity: half of it comes in bursts and must pass without a refusal. With 32 a quarter of a percent is
  // refused then; with 128 the service's thread has so much to answer at twice the capacity that refusals wait for a second.
  planted: 64,
  // A call takes seconds: what waits behind more than these would wait for minutes.
  embedded: 4,
} as const;

/** Some hundred kilobytes of weights: what is measured is the service around the engine as much as the engine. */
export const plantedLoad = (): LoadSubject => {
  const folder = mkdtempSync(join(tmpdir(), 'refusalscope-load-'));
  const mechanism = loadMechanism(join(projectRoot, 'bench', 'truth', 'mechanisms', 'hydra-2.json'));
  const planted = plantModel(mechanism, { folder, seed: 5 });
  return {
    name: 'planted model',
    modelEnvironment: { REFUSALSCOPE_MODEL_PATH: planted.modelFolder, REFUSALSCOPE_MODEL_NAME: 'load' },
    saeEnvironment: { REFUSALSCOPE_SAE_DIRS: planted.saeFolder },
    maxCalls: CALLS_AT_ONCE.planted,
    prompts: planted.prompts.map(({ text }) => text),
    features: [...planted.places.values(), ...planted.near],
    close: () => rmSync(folder, { recursive: true, force: true }),
  };
};

export const embeddedLoad = async (): Promise<LoadSubject> => {
  const { path } = await ensureEmbeddedModel();
  const names = nearestFeatures(openSaeStore(), CANDIDATES_A_LAYER, golden.sae_layers);
  return {
    name: 'embedded model',
    modelEnvironment: {
      REFUSALSCOPE_MODEL_PATH: path,
      REFUSALSCOPE_ADAPTER_PATH: join(projectRoot, 'models', 'adapter'),
      REFUSALSCOPE_MODEL_NAME: 'load',
    },
    saeEnvironment: {},
    maxCalls: CALLS_AT_ONCE.embedded,
    prompts: (await readEmbeddedPrompts()).map(({ text }) => text),
    features: names.map(parseFeature),
    close: () => undefined,
  };
};
