/** The preset `redundant` against PyTorch in float32: clean scores, and scores with features of its own SAEs off. */
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
});
