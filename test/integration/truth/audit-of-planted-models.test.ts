import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadMechanism } from '../../../bench/truth/mechanism.js';
import { type PlantedModel, type PlantedPrompt, plantModel } from '../../../bench/truth/plant/plant-model.js';
import { CoordinatorServiceDefinition } from '../../../proto/gen/refusalscope/v1/coordinator.js';
import { PromptLabel } from '../../../proto/gen/refusalscope/v1/types.js';
import { reportSchema } from '../../../services/coordinator/report/report-schema.js';
import type { Report } from '../../../services/coordinator/report/report-type.js';
import { startMesh } from '../../../services/mesh/start-mesh.js';
import { projectRoot } from '../../../shared/project/root.js';
import { connect } from '../../../shared/rpc/connect.js';
import { formatFeature } from '../../../shared/tensors/feature-name.js';
import { create, reportOf, watchToEnd } from '../coordinator/coordinator-bench.js';

/** Whole audits of models whose mechanism is known, through the five services that ship. */
const PROMPTS = 4;
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'refusalscope-planted-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const plant = (name: string): PlantedModel => {
  const mechanism = loadMechanism(join(projectRoot, 'bench', 'truth', 'mechanisms', `${name}.json`));
  return plantModel(mechanism, { folder: join(folder, name), seed: 11, promptsPerCategory: PROMPTS });
};

const audit = async (
  planted: PlantedModel,
  labelOf: (prompt: PlantedPrompt) => PlantedPrompt['label'],
  changes: object = {},
): Promise<Report> => {
  const mesh = await startMesh({
    modelName: 'planted',
    modelPath: planted.modelFolder,
    saeDirs: [planted.saeFolder],
    threads: 1,
    cacheBytes: 64 << 20,
    stateDir: join(planted.modelFolder, '..', 'state'),
    logLevel: 'silent',
  });
  const { client, close } = connect(CoordinatorServiceDefinition, mesh.coordinatorAddress);
  try {
    const prompts = planted.prompts.map((prompt) => ({
      prompt: { id: prompt.id, input: { $case: 'text' as const, value: prompt.text } },
      label: labelOf(prompt) === 'harmful' ? PromptLabel.PROMPT_LABEL_HARMFUL : PromptLabel.PROMPT_LABEL_HARMLESS,
      category: prompt.category ?? '',
    }));
    const small = { growth: [20, 60], fmMasks: 32, fmFeatures: 4, controlDraws: 1, maxNewTokens: 8 };
    const id = await create(client, { prompts, ...small, ...changes });
    await watchToEnd(client, id);
    return (await reportOf(client, id)).report;
  } finally {
    close();
    await mesh.stop();
  }
};

describe('an audit of a planted model', () => {
  it('reports the hydra that was planted: depth of defence, who wakes whom, what is enough, what it costs', async () => {
    const planted = plant('hydra-2');
    const chain = ['primary', 'backup-1', 'backup-2'].map((name) => formatFeature(planted.places.get(name)!));
    const claims = { hydraMinEffect: 0.5, harmlessPrompts: 2, sufficiencyDraws: 1 };
    const report = await audit(planted, ({ label }) => label, { claims });
    expect(reportSchema.safeParse(report).error?.issues).toBeUndefined();
    const { families, hydra, sufficiency, costs } = report;
    expect(families).toMatchObject({
      examined: { count: PROMPTS, of: PROMPTS },
      complete: { count: PROMPTS, of: PROMPTS },
      depthOfDefence: { min: 3, max: 3 },
      disjointSets: { min: 1, max: 1 },
    });
    expect(families?.necessary.map(({ feature }) => feature).sort()).toEqual([...chain].sort());
    expect(hydra?.depth).toBe(2);
    expect(hydra?.features.map(({ feature, round, wakers }) => ({ feature, round, wakers }))).toEqual([
      { feature: chain[1], round: 1, wakers: [chain[0]] },
      { feature: chain[2], round: 2, wakers: [chain[0], chain[1]] },
    ]);
    expect(sufficiency?.sets).toEqual({
      leftOn: { count: PROMPTS, of: PROMPTS },
      putBack: { count: PROMPTS, of: PROMPTS },
      harmlessRefused: { count: 2 * PROMPTS, of: 2 * PROMPTS },
    });
    // The two backups are asleep on the clean prompt.
    expect(sufficiency?.prompts.map(({ dormantMembers }) => dormantMembers.length)).toEqual([2, 2, 2, 2]);
    expect(costs?.belowBound).toEqual({ count: 1, of: 1 });
    expect(costs?.rows[0]?.meanKl).toBeCloseTo(0, 9);
  });

  it('finds the backup that minimal sets go round, from the strongest features of the earlier layers', async () => {
    const planted = plant('backup-bypassed');
    const nameOf = (feature: string) => formatFeature(planted.places.get(feature)!);
    const claims = { hydraMinEffect: 0.5, hydraStrongest: 40 };
    const report = await audit(planted, ({ label }) => label, { claims, layers: [1, 2, 3, 4], skipStages: ['family'] });
    // What each prompt's set leaves on keeps the backup asleep.
    const cheapest = ['s2', 's3'].map(nameOf).sort();
    expect(report.minimalSets.map(({ members }) => members.map(({ feature }) => feature).sort())).toEqual(
      Array.from({ length: PROMPTS }, () => cheapest),
    );
    expect(report.hydra).toMatchObject({ depth: 0, features: [] });
    const { fromStrongest } = report.hydra!;
    expect(fromStrongest).toMatchObject({ examined: { count: PROMPTS, of: PROMPTS }, belowLayer: 4, depth: 1 });
    expect(fromStrongest?.features.map(({ feature, wakers }) => [feature, wakers])).toEqual([
      [nameOf('backup'), [nameOf('guarded')]],
    ]);
    expect(fromStrongest?.features[0]?.effect).toBeCloseTo(-4, 0);
    expect(report.summary.claims).toMatchObject({ hydraDepth: 1, hydraFeatures: 1 });
  });

  it('explains false refusals by the features that cause them, and finds the wanted refusals untouched', async () => {
    const planted = plant('mixture');
    const [w1, w2] = ['w1', 'w2'].map((name) => formatFeature(planted.places.get(name)!));
    // To this audit, prompts about weapons are harmless: the model refuses them all the same.
    const labelOf = ({ label, category }: PlantedPrompt) => (category === 'weapons' ? 'harmless' : label);
    const report = await audit(planted, labelOf, { overRefusal: true, skipStages: ['hydra', 'sufficiency'] });
    expect(reportSchema.safeParse(report).error?.issues).toBeUndefined();
    expect(report.settings).toMatchObject({ searched: 'refused harmless', skippedStages: ['hydra', 'sufficiency'] });
    expect(report.minimalSets.map(({ promptId }) => promptId)).toEqual([0, 1, 2, 3].map((i) => `weapons-${i}`));
    expect(report.overRefusal?.refused).toEqual({ count: PROMPTS, of: 3 * PROMPTS });
    const untouched = { count: PROMPTS, of: PROMPTS };
    // Either feature alone off leaves the other: w2 wakes once w1 is off.
    expect(report.overRefusal?.features).toEqual(
      [w1, w2].map((feature) => ({
        feature,
        inSets: { count: PROMPTS, of: PROMPTS },
        promptIds: report.minimalSets.map(({ promptId }) => promptId),
        ended: { count: 0, of: PROMPTS },
        stillRefused: untouched,
      })),
    );
    expect(report.overRefusal?.sets).toMatchObject([
      { ended: { count: PROMPTS, of: PROMPTS }, stillRefused: untouched },
    ]);
    expect(report.families?.depthOfDefence).toMatchObject({ min: 2, max: 2 });
    // Harmless text for the cost: what the model answers, none of what it falsely refuses.
    expect(report.costs?.examined.of).toBe(2 * PROMPTS);
  });
});
