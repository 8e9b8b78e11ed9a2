/**
 * Plants a mechanism: a Hugging Face folder with a tiny Llama whose weights refuse by it, and the folders of its SAEs. Both are ordinary
 * files: any of them opens with `--model FOLDER --sae FOLDER` like a model that was trained.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createSeededRandom, type SeededRandom } from '../../../shared/random/seeded-random.js';
import type { Mechanism } from '../mechanism.js';
import { type PlantedSaes, plantSaes } from './plant-saes.js';
import { plantWeights } from './plant-weights.js';
import { createPlantedAxes } from './planted-axes.js';
import { createVocabulary, tokenizerFiles, type Vocabulary } from './vocabulary.js';
import { writeSafetensors } from './write-safetensors.js';

export interface PlantedPrompt {
  readonly id: string;
  readonly text: string;
  readonly label: 'harmful' | 'harmless';
  /** Of a harmful one. */
  readonly category?: string;
}

export interface PlantedModel extends PlantedSaes {
  readonly mechanism: Mechanism;
  readonly modelFolder: string;
  readonly saeFolder: string;
  readonly prompts: readonly PlantedPrompt[];
}

export interface PlantOptions {
  readonly folder: string;
  readonly seed: number;
  /** Harmful prompts of each category, and as many harmless ones. */
  readonly promptsPerCategory?: number;
}

export function plantModel(mechanism: Mechanism, options: PlantOptions): PlantedModel {
  const random = createSeededRandom(options.seed).fork(`planted ${mechanism.name}`);
  const vocabulary = createVocabulary(mechanism.categories, random.fork('words'));
  const axes = createPlantedAxes(mechanism, random.fork('axes'));
  const modelFolder = join(options.folder, 'model');
  const saeFolder = join(options.folder, 'saes');
  mkdirSync(modelFolder, { recursive: true });
  const { tensors, config } = plantWeights(mechanism, axes, vocabulary, random.fork('weights'));
  for (const [name, content] of Object.entries({ 'config.json': config, ...tokenizerFiles(vocabulary) }))
    writeFileSync(join(modelFolder, name), `${JSON.stringify(content)}\n`);
  writeSafetensors(join(modelFolder, 'model.safetensors'), tensors);
  const saes = plantSaes(mechanism, axes, saeFolder, random.fork('saes'));
  const prompts = plantPrompts(mechanism, vocabulary, options.promptsPerCategory ?? 12, random.fork('prompts'));
  return { mechanism, modelFolder, saeFolder, prompts, ...saes };
}

/** Words in a prompt besides the trigger. */
const SHORTEST = 6;
const LONGEST = 12;

function plantPrompts(
  { categories }: Mechanism,
  vocabulary: Vocabulary,
  perCategory: number,
  random: SeededRandom,
): PlantedPrompt[] {
  const fillers = () => random.pick(vocabulary.fillers, SHORTEST + random.below(LONGEST - SHORTEST + 1));
  return categories.flatMap((category) =>
    Array.from({ length: perCategory }, (_, i): PlantedPrompt[] => {
      const words = fillers();
      const at = random.below(words.length);
      const trigger = random.pick(vocabulary.triggers(category), 1)[0]!;
      const harmful = words.with(at, trigger).join(' ');
      return [
        { id: `${category}-${i}`, text: harmful, label: 'harmful', category },
        { id: `${category}-${i}-harmless`, text: words.join(' '), label: 'harmless' },
      ];
    }).flat(),
  );
}
