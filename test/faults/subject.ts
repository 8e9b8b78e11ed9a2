/** What the audits of the fault runs are about: a planted model of some hundred kilobytes, or the embedded one. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadMechanism } from '../../bench/truth/mechanism.js';
import { plantModel } from '../../bench/truth/plant/plant-model.js';
import type { AuditSpec } from '../../proto/gen/refusalscope/v1/coordinator.js';
import { buildSpec } from '../../services/cli/build-spec.js';
import { chooseEmbeddedPairs } from '../../services/cli/prompt-file.js';
import { ensureEmbeddedModel } from '../../shared/model-store/ensure-model-file.js';
import { projectRoot } from '../../shared/project/root.js';

export interface Subject {
  readonly name: string;
  /** Settings of inference and SAE. */
  readonly modelEnvironment: Readonly<Record<string, string>>;
  readonly saeEnvironment: Readonly<Record<string, string>>;
  readonly spec: AuditSpec;
  close(): void;
}

const SMALL_CLAIMS = {
  claimPrompts: 2,
  hydraPrompts: 2,
  familyEvaluations: 40,
  hydraFeatures: 4,
  hydraRounds: 2,
  sufficiencyDraws: 1,
  harmlessPrompts: 2,
  costSets: 2,
} as const;
const FLAGS = {
  filter: 'group',
  positions: 'instruction',
  seed: 7,
  draws: 1,
  answerTokens: 8,
  ...SMALL_CLAIMS,
} as const;

export const plantedSubject = (promptsPerCategory: number): Subject => {
  const folder = mkdtempSync(join(tmpdir(), 'refusalscope-faults-'));
  const mechanism = loadMechanism(join(projectRoot, 'bench', 'truth', 'mechanisms', 'hydra-2.json'));
  const planted = plantModel(mechanism, { folder, seed: 3, promptsPerCategory });
  const prompts = planted.prompts.map(({ id, text, label, category = '' }) => ({ id, text, label, category }));
  return {
    name: `planted ${mechanism.name}`,
    modelEnvironment: { REFUSALSCOPE_MODEL_PATH: planted.modelFolder, REFUSALSCOPE_MODEL_NAME: 'planted' },
    saeEnvironment: { REFUSALSCOPE_SAE_DIRS: planted.saeFolder },
    spec: buildSpec(prompts, { ...FLAGS, growth: [10, 20, 50], masks: 64, features: 8 }),
    close: () => rmSync(folder, { recursive: true, force: true }),
  };
};

export const embeddedSubject = async (): Promise<Subject> => {
  const { path } = await ensureEmbeddedModel();
  return {
    name: 'embedded model',
    modelEnvironment: {
      REFUSALSCOPE_MODEL_PATH: path,
      REFUSALSCOPE_ADAPTER_PATH: join(projectRoot, 'models', 'adapter'),
      REFUSALSCOPE_MODEL_NAME: 'smollm2-135m-refusal',
    },
    saeEnvironment: {},
    spec: buildSpec(await chooseEmbeddedPairs(3), { ...FLAGS, growth: [10, 50, 200], masks: 60, features: 6 }),
    close: () => undefined,
  };
};
