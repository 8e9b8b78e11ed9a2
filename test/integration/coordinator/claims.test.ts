import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AuditState } from '../../../proto/gen/refusalscope/v1/coordinator.js';
import { reportSchema } from '../../../services/coordinator/report/report-schema.js';
import { specOf } from './audit-spec-fixture.js';
import { CoordinatorBench, create, reportOf, watchToEnd, withoutVolatile } from './coordinator-bench.js';

let bench: CoordinatorBench;
beforeEach(async () => {
  bench = await CoordinatorBench.open();
});
afterEach(() => bench.close());

const auditOf = async (changes: object, pairs = 3, stateDir?: string) => {
  const { client } = await bench.start(stateDir);
  const id = await create(client, specOf(pairs, changes));
  const events = await watchToEnd(client, id);
  const stages = events.flatMap(({ event }) => (event?.$case === 'stageStarted' ? [event.value.stage] : []));
  return { client, id, stages, ...(await reportOf(client, id)) };
};

describe('the stages behind claims', () => {
  it('give a number a prompt and a number a model, each with its denominator', async () => {
    const { report } = await auditOf({});
    expect(report.families).toMatchObject({
      examined: { count: 3, of: 3 },
      complete: { count: 3, of: 3 },
      depthOfDefence: { min: 2, median: 2, mean: 2, max: 2 },
      disjointSets: { min: 1, max: 1 },
      necessary: [
        { feature: '1/0', prompts: { count: 3, of: 3 } },
        { feature: '1/1', prompts: { count: 3, of: 3 } },
      ],
    });
    expect(report.families?.prompts[0]).toMatchObject({
      promptId: 'h0',
      candidates: 18,
      candidatesPerLayer: 6,
      sets: [{ members: ['1/0', '1/1'], score: -1.02 }],
      sustaining: [{ members: ['1/0'] }, { members: ['1/1'] }],
    });
    expect(report.hydra).toMatchObject({ examined: { count: 3, of: 3 }, depth: 1, tested: 3 });
    // Layer 2 is the last one: what is off first is below it.
    expect(report.hydra?.fromStrongest).toMatchObject({ examined: { count: 3, of: 3 }, depth: 1, perPrompt: 8 });
    expect(report.hydra?.features[0]).toMatchObject({
      feature: '2/7',
      wokeIn: { count: 3, of: 3 },
      wakers: ['1/0'],
      awakeAt: { bos: 0, template: 0, content: 4 },
    });
    expect(report.sufficiency).toMatchObject({
      sets: { leftOn: { count: 3, of: 3 }, putBack: { count: 3, of: 3 }, harmlessRefused: { count: 9, of: 9 } },
      random: { leftOn: { count: 0, of: 9 }, putBack: { count: 0, of: 9 }, harmlessRefused: { count: 0, of: 27 } },
    });
    // All three prompts have the same set; beside it all members together (the same two) and all 18 candidates.
    expect(report.costs).toMatchObject({
      examined: { count: 3, of: 3 },
      distinctSets: { count: 1, of: 1 },
      belowBound: { count: 1, of: 1 },
      cleanCrossEntropy: 1,
    });
    expect(report.costs?.rows.map(({ off, meanKl, promptIds }) => [off, meanKl, promptIds.length])).toEqual([
      ['minimal set', 0.04, 3],
      ['all sets', 0.04, 0],
      ['all candidates', 0.36, 0],
    ]);
    expect(report.summary.claims).toEqual({
      familiesComplete: { count: 3, of: 3 },
      depthOfDefence: { min: 2, median: 2, mean: 2, max: 2 },
      disjointSets: { min: 1, median: 1, mean: 1, max: 1 },
      hydraDepth: 1,
      hydraFeatures: 1,
      setsPutBackRefuse: { count: 3, of: 3 },
      writtenIntoHarmless: { count: 9, of: 9 },
      setsBelowKlBound: { count: 1, of: 1 },
    });
  });

  it('keep to their caps, and the report says what was cut off', async () => {
    const claims = { prompts: 2, familyEvaluations: 3, harmlessPrompts: 1, hydraPrompts: 2 };
    const { report } = await auditOf({ claims });
    expect(report.settings.claims).toMatchObject({ ...claims, familySets: 32, hydraMinEffect: 0.1 });
    expect(report.families).toMatchObject({ examined: { count: 2, of: 3 }, complete: { count: 0, of: 2 } });
    // One of each category first.
    expect(report.families?.prompts.map(({ promptId }) => promptId)).toEqual(['h0', 'h1']);
    expect(report.hydra?.examined).toEqual({ count: 2, of: 3 });
    expect(report.sufficiency?.sets.harmlessRefused).toEqual({ count: 2, of: 2 });
    expect(report.costs?.examined).toEqual({ count: 1, of: 3 });
  });

  it('that are skipped are not run and are absent, not empty', async () => {
    const { report, stages } = await auditOf({ skipStages: ['hydra', 'cost'] });
    expect(stages.slice(-2)).toEqual(['family', 'sufficiency']);
    expect(report).not.toHaveProperty('hydra');
    expect(report).not.toHaveProperty('costs');
    expect(report.settings.skippedStages).toEqual(['hydra', 'cost']);
    expect(report.summary.claims).toMatchObject({ hydraDepth: null, setsBelowKlBound: null, hydraFeatures: null });
    expect(reportSchema.safeParse(report).error?.issues).toBeUndefined();
  });

  it('trace no hydra on a single prompt: null, never 0', async () => {
    const { report } = await auditOf({ maxSearchPrompts: 1 });
    expect(report.hydra).toMatchObject({ examined: { count: 0, of: 1 }, depth: null, features: [] });
    expect(report.summary.claims).toMatchObject({ hydraDepth: null, hydraFeatures: null });
  });

  it('go on from the checkpoint to the same report, and run nothing again that was stored', async () => {
    const whole = await auditOf({}, 3, join(bench.folder, 'whole'));
    const runs = bench.peers.runs.size;
    bench.peers.runs.clear();
    const { client, stop } = await bench.start();
    bench.peers.script.delayMs = 3;
    const id = await create(client, specOf(3));
    await expect
      .poll(async () => (await client.getAudit({ id })).audit?.stage, { timeout: 60_000, interval: 5 })
      .toBe('sufficiency');
    await stop();
    const checkpoint = await bench.storedKeys(id);
    bench.peers.script.delayMs = 0;
    const again = await bench.start();
    await again.client.resumeAudit({ id });
    await watchToEnd(again.client, id);
    const resumed = await reportOf(again.client, id);
    expect(resumed.report.run.resumed).toBe(1);
    expect(withoutVolatile(resumed.report)).toBe(withoutVolatile(whole.report));
    expect(bench.peers.runs.size).toBe(runs);
    expect(checkpoint.length).toBeGreaterThan(50);
    expect(checkpoint.filter((key) => bench.peers.runs.get(key) !== 1)).toEqual([]);
  });

  it('of a spec from before there were such stages are not run', async () => {
    bench.peers.script.delayMs = 20;
    const { client } = await bench.start();
    const id = await create(client, specOf(2));
    await expect.poll(() => bench.peers.runs.size, { timeout: 10_000 }).toBeGreaterThan(3);
    await client.cancelAudit({ id });
    const path = join(bench.folder, 'audits', id, 'spec.json');
    const { claims: _claims, ...old } = JSON.parse(await readFile(path, 'utf8'));
    await writeFile(path, JSON.stringify(old));
    bench.peers.script.delayMs = 0;
    await client.resumeAudit({ id });
    await watchToEnd(client, id);
    expect((await client.getAudit({ id })).audit?.state).toBe(AuditState.AUDIT_STATE_SUCCEEDED);
    const { report } = await reportOf(client, id);
    expect(report).not.toHaveProperty('families');
    expect(report.settings).not.toHaveProperty('claims');
  });
});

describe('over-refusal', () => {
  it('searches the refused harmless prompts, and says which features cause them and what is lost with them', async () => {
    bench.peers.script.refuses = (id) => id.startsWith('h') || id === 'b1';
    const { report, stages } = await auditOf({ overRefusal: true });
    expect(stages.at(-1)).toBe('over-refusal');
    expect(report.settings.searched).toBe('refused harmless');
    expect(report.minimalSets.map(({ promptId }) => promptId)).toEqual(['b1']);
    expect(report.overRefusal).toEqual({
      refused: { count: 1, of: 3 },
      features: ['1/0', '1/1'].map((feature) => ({
        feature,
        inSets: { count: 1, of: 1 },
        promptIds: ['b1'],
        ended: { count: 0, of: 1 },
        stillRefused: { count: 3, of: 3 },
      })),
      // The planted refusal is one and the same: what ends the false one ends the others.
      sets: [
        {
          members: ['1/0', '1/1'],
          promptIds: ['b1'],
          ended: { count: 1, of: 1 },
          stillRefused: { count: 0, of: 3 },
        },
      ],
    });
    // Harmless text to measure cost on: those that the model answers.
    expect(report.costs?.examined).toEqual({ count: 2, of: 2 });
    expect(reportSchema.safeParse(report).error?.issues).toBeUndefined();
  });
});
