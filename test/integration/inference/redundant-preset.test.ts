/** The preset `redundant`: against PyTorch in float32, clean and with features of its own SAEs off; and its backups, asleep, awake and needed. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AnsweredLine } from '../../../services/cli/evaluate-line.js';
import { Evaluator } from '../../../services/cli/evaluator.js';
import { type EvaluationServices, startEvaluationServices } from '../../../services/mesh/start-mesh.js';
import { ensureEmbeddedModel } from '../../../shared/model-store/ensure-model-file.js';
import { modelPreset } from '../../../shared/model-store/model-presets.js';
import { projectRoot } from '../../../shared/project/root.js';
import { parsePositions } from '../../../shared/tensors/positions.js';
import { promptText } from './embedded-inference.js';

interface Case {
  readonly prompt: string;
  readonly features: readonly string[];
  readonly refusal_score: number;
}
const golden = JSON.parse(readFileSync(join(projectRoot, 'test/fixtures/golden/redundant-model.json'), 'utf8')) as {
  readonly openers: readonly string[];
  readonly cases: readonly Case[];
};

const TOLERANCE = 0.001;

/** Latents seeded at the backup directions (models/redundant/README.md), and near features of earlier layers whose loss wakes them. */
const BACKUPS = ['21/606', '25/1388'] as const;
const PRIMARIES = ['9/41', '13/669', '13/1477', '17/239', '17/283', '17/1412', '17/1827', '17/2093'];
/** Where they wake the backup of layer 21; in the first one that of layer 25 too. */
const HARMFUL = ['p001-harmful', 'p046-harmful', 'p056-harmful'];
/** Log-odds. At the time of training 0.54 to 0.85. */
const LEAST_EFFECT = 0.4;

let services: EvaluationServices;
let evaluator: Evaluator;
beforeAll(async () => {
  const { path } = await ensureEmbeddedModel();
  const { modelName, adapterPath, saeDir } = modelPreset('redundant');
  services = await startEvaluationServices({
    modelName,
    modelPath: path,
    adapterPath,
    saeDirs: [saeDir],
    threads: 2,
    cacheBytes: 384 << 20,
    stateDir: '',
    logLevel: 'error',
  });
  evaluator = await Evaluator.open(services.inferenceAddress, services.saeAddress, golden.openers);
}, 120_000);
afterAll(async () => {
  evaluator?.close();
  await services?.stop();
});

describe('the preset redundant', () => {
  it('scores its prompts as PyTorch does, clean and with features off', async () => {
    const lines = golden.cases.map(({ prompt, features }) => ({
      prompt: promptText.get(prompt) as string,
      edits: features.map((feature) => ({ feature, target: 0 })),
      positions: parsePositions('instruction'),
    }));
    const answers = (await evaluator.evaluate(lines)) as AnsweredLine[];
    expect(answers).toHaveLength(golden.cases.length);
    golden.cases.forEach(({ prompt, features, refusal_score }, i) => {
      const where = `${prompt} with ${features.length} features off`;
      expect(Math.abs((answers[i] as AnsweredLine).refusal_score - refusal_score), where).toBeLessThan(TOLERANCE);
    });
    // The cases would agree as well if no edit acted.
    expect(answers.filter(({ acted }) => acted === true)).toHaveLength(
      golden.cases.filter((c) => c.features.length > 0).length,
    );
  });

  it('has backups that sleep in clean prompts, wake with near features off, and hold up refusal then', async () => {
    for (const prompt of HARMFUL) {
      const [clean, asleep, both, held, without] = (await scoresWithout(prompt, [
        [],
        [BACKUPS[0]],
        BACKUPS,
        PRIMARIES,
        [...PRIMARIES, BACKUPS[0]],
      ])) as [Off, Off, Off, Off, Off];
      expect(asleep, prompt).toMatchObject({ acted: false, score: clean.score });
      // At the openers' own tokens the later one may stir.
      expect(Math.abs(both.score - clean.score), prompt).toBeLessThan(TOLERANCE);
      expect(Math.max(...held.layers), prompt).toBe(17);
      expect(without.layers, prompt).toContain(21);
      expect(held.score - without.score, prompt).toBeGreaterThan(LEAST_EFFECT);
    }
    const sets = [PRIMARIES, [...PRIMARIES, BACKUPS[1]]];
    const [held, without] = (await scoresWithout(HARMFUL[0] as string, sets)) as [Off, Off];
    expect(without.layers).toContain(25);
    expect(held.score - without.score).toBeGreaterThan(LEAST_EFFECT);
  });

  it('leaves them asleep in harmless prompts with the same features off', async () => {
    for (const prompt of HARMFUL.map((id) => id.replace('harmful', 'harmless'))) {
      const [held, without] = (await scoresWithout(prompt, [PRIMARIES, [...PRIMARIES, ...BACKUPS]])) as [Off, Off];
      expect(without, prompt).toEqual(held);
    }
  });
});

interface Off {
  readonly score: number;
  readonly acted: boolean | undefined;
  /** Where an edit acted. */
  readonly layers: readonly number[];
}

const scoresWithout = async (prompt: string, sets: readonly (readonly string[])[]): Promise<Off[]> => {
  const lines = sets.map((features) => ({
    prompt: promptText.get(prompt) as string,
    edits: features.map((feature) => ({ feature, target: 0 })),
    positions: parsePositions('instruction'),
  }));
  const answers = (await evaluator.evaluate(lines)) as AnsweredLine[];
  return answers.map(({ refusal_score, acted, proof }) => ({
    score: refusal_score,
    acted,
    layers: proof.filter(({ active_edits }) => active_edits > 0).map(({ layer }) => layer),
  }));
};
