import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AuditState, AuditSpec as WireSpec } from '../../../proto/gen/refusalscope/v1/coordinator.js';
import type { AuditEvent } from '../../../services/coordinator/audit/audit-event.js';
import { Audits } from '../../../services/coordinator/audit/audits.js';
import { openPeers } from '../../../services/coordinator/peers/open-peers.js';
import { reportSchema } from '../../../services/coordinator/report/report-schema.js';
import { FileAuditStore } from '../../../services/coordinator/store/file-audit-store.js';
import { decodeSpec } from '../../../services/coordinator/wire/spec-from-wire.js';
import { fault } from '../../../shared/errors/fault.js';
import { silentLogger } from '../../../shared/log/create-logger.js';
import { specOf } from './audit-spec-fixture.js';
import { CoordinatorBench, create, reportOf, watchToEnd, withoutVolatile } from './coordinator-bench.js';

let bench: CoordinatorBench;
beforeEach(async () => {
  bench = await CoordinatorBench.open();
});
afterEach(() => bench.close());

describe('a whole audit', () => {
  it('runs its stages in order, streams events without gaps, and ends with a report', async () => {
    const { client } = await bench.start();
    const id = await create(client, specOf(3));
    const events = await watchToEnd(client, id);
    expect(events.map((event) => event.sequence)).toEqual(events.map((_, i) => i + 1));
    const started = events.flatMap(({ event }) => (event?.$case === 'stageStarted' ? [event.value.stage] : []));
    expect(started).toEqual([
      'describe',
      'saes',
      'openers',
      'directions',
      'candidates',
      'depth',
      'filter',
      'verify',
      'dormant',
      'interactions',
      'controls',
      'alternatives',
      'family',
      'hydra',
      'sufficiency',
      'cost',
    ]);
    expect(events.at(-1)?.event).toMatchObject({
      $case: 'auditEnded',
      value: { state: AuditState.AUDIT_STATE_SUCCEEDED },
    });
    const { report } = await reportOf(client, id);
    expect(reportSchema.safeParse(report).error?.issues).toBeUndefined();
    expect(report.summary.minimalSetsFound).toEqual({ count: 3, of: 3 });
    expect(report.summary.setSize).toEqual({ min: 2, median: 2, mean: 2, max: 2 });
    expect(report.sharedFeatures.map(({ feature, sets }) => [feature, sets.count, sets.of])).toEqual([
      ['1/0', 3, 3],
      ['1/1', 3, 3],
    ]);
    expect(report.settings.layers).toEqual([1, 2, 3]);
    expect(report.controls.randomFeatures?.flips).toEqual({ count: 3, of: 15 });
    expect(report.depthProfile.layers[0]?.flipsAlone).toEqual({ count: 3, of: 3 });
    expect(report.summary.firstFlippingLayer).toBe(1);
    const { alternatives } = report;
    // The planted refusal of 1/0 and 1/1 falls once both are off: two of the shared ones or of the cosine, never in the probe's list.
    expect(alternatives?.rankings.map(({ ranking, flipsHalfAt }) => [ranking, flipsHalfAt])).toEqual([
      ['sharedFeatures', 2],
      ['cosine', 2],
      ['activationDifference', null],
      ['probeWeight', null],
      ['randomActive', null],
    ]);
    expect(alternatives?.rankings[1]?.points.map(({ features, flips }) => [features, flips.count, flips.of])).toEqual([
      [1, 0, 3],
      [2, 3, 3],
      [3, 3, 3],
      [5, 3, 3],
      [8, 3, 3],
    ]);
    expect(alternatives?.minimalSets).toEqual({
      points: [{ features: 2, flips: { count: 3, of: 3 } }],
      flipsHalfAt: 2,
    });
    expect(alternatives?.rankedOn).toEqual({ harmful: 3, harmless: 3 });
    expect(alternatives?.probeAccuracy).toEqual({ count: 5, of: 6 });
    expect(report.openers.byLength?.map(({ tokens, agreement }) => [tokens, agreement])).toEqual([
      [8, { count: 1, of: 6 }],
    ]);
    expect(
      report.verification.byLength?.map(({ tokens, complied, delayedRefusals }) => [tokens, complied, delayedRefusals]),
    ).toEqual([
      [8, 3, { count: 0, of: 3 }],
      [16, 3, { count: 0, of: 3 }],
    ]);
    expect(report.interactions.masks).toMatchObject({
      chosen: 'allPairs',
      pairsFrom: 'allPairs',
      allPairs: { r2: 0.95, validationLoss: 0.05 },
      boostedTrees: null,
    });
    expect(report.interactions.confirmed[0]).toMatchObject({
      first: '1/0',
      second: '1/1',
      predicted: 0.5,
      measured: 2,
    });
    expect(report.categories.map(({ category, harmful }) => [category, harmful])).toEqual([
      ['fraud', 2],
      ['malware', 1],
    ]);
  });

  it('runs no evaluation twice, over all its stages', async () => {
    const { client } = await bench.start();
    await watchToEnd(client, await create(client, specOf(3)));
    expect(bench.peers.runs.size).toBeGreaterThan(50);
    expect([...bench.peers.runs.values()].filter((count) => count > 1)).toEqual([]);
  });

  it('events and state hold no prompt text', async () => {
    const { client } = await bench.start();
    const id = await create(client, specOf(2));
    await watchToEnd(client, id);
    for (const name of ['events.jsonl', 'state.json']) {
      expect(await readFile(join(bench.folder, 'audits', id, name), 'utf8')).not.toContain('What about');
    }
  });

  it('a redacted audit leaves the first words out', async () => {
    const { client } = await bench.start();
    const id = await create(client, specOf(2, { redactAnswers: true }));
    await watchToEnd(client, id);
    const { text } = await reportOf(client, id);
    expect(text).not.toMatch(/What about|Sure|I am/);
  });

  it('the report as a page is self-contained HTML', async () => {
    const { client } = await bench.start();
    const id = await create(client, specOf(2));
    await watchToEnd(client, id);
    const chunks: Buffer[] = [];
    for await (const { chunk } of client.getReport({ id, format: 2 })) chunks.push(chunk);
    expect(Buffer.concat(chunks).toString('utf8')).toMatch(/^<!doctype html>/i);
  });

  it('watching from the middle gives the rest', async () => {
    const { client } = await bench.start();
    const id = await create(client, specOf(2));
    const all = await watchToEnd(client, id);
    const rest = await watchToEnd(client, id, 5);
    expect(rest).toEqual(all.slice(5));
  });
});

describe('interruption', () => {
  it('stopping the coordinator leaves a checkpoint that resumes to the same report, without redoing an evaluation', async () => {
    const whole = await bench.start(join(bench.folder, 'whole'));
    const wholeId = await create(whole.client, specOf(4));
    await watchToEnd(whole.client, wholeId);
    const expected = await reportOf(whole.client, wholeId);
    const runsOfWhole = bench.peers.runs.size;
    bench.peers.runs.clear();

    bench.peers.script.delayMs = 5;
    const first = await bench.start();
    const id = await create(first.client, specOf(4));
    await expect.poll(() => bench.peers.runs.size, { timeout: 10_000 }).toBeGreaterThan(25);
    await first.stop();
    const checkpoint = await bench.storedKeys(id);
    expect(checkpoint.length).toBeGreaterThan(20);
    expect(checkpoint.length).toBeLessThan(runsOfWhole);

    bench.peers.script.delayMs = 0;
    const second = await bench.start();
    expect((await second.client.getAudit({ id })).audit?.state).toBe(AuditState.AUDIT_STATE_INTERRUPTED);
    await second.client.resumeAudit({ id });
    await watchToEnd(second.client, id);
    const resumed = await reportOf(second.client, id);
    expect(withoutVolatile(resumed.report)).toBe(withoutVolatile(expected.report));
    expect(resumed.report.run.resumed).toBe(1);
    expect(bench.peers.runs.size).toBe(runsOfWhole);
    expect(checkpoint.filter((key) => bench.peers.runs.get(key) !== 1)).toEqual([]);
  });

  it('a cancelled audit stops, keeps its checkpoint, and can be resumed', async () => {
    bench.peers.script.delayMs = 20;
    const { client } = await bench.start();
    const id = await create(client, specOf(4));
    await expect.poll(() => bench.peers.runs.size, { timeout: 10_000 }).toBeGreaterThan(5);
    const { audit } = await client.cancelAudit({ id });
    expect(audit?.state).toBe(AuditState.AUDIT_STATE_CANCELLED);
    const runsThen = bench.peers.runs.size;
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(bench.peers.runs.size).toBe(runsThen);
    expect((await watchToEnd(client, id)).at(-1)?.event?.$case).toBe('auditEnded');
    bench.peers.script.delayMs = 0;
    await client.resumeAudit({ id });
    const events = await watchToEnd(client, id);
    expect(events.at(-1)?.event).toMatchObject({ value: { state: AuditState.AUDIT_STATE_SUCCEEDED } });
    expect(events.map((event) => event.sequence)).toEqual(events.map((_, i) => i + 1));
  });

  it('a checkpoint is not continued with other weights', async () => {
    bench.peers.script.delayMs = 20;
    const { client } = await bench.start();
    const id = await create(client, specOf(4));
    await expect.poll(() => bench.peers.runs.size, { timeout: 10_000 }).toBeGreaterThan(5);
    await client.cancelAudit({ id });
    bench.peers.script.weightsSha256 = 'bb';
    await client.resumeAudit({ id });
    await watchToEnd(client, id);
    const { audit } = await client.getAudit({ id });
    expect(audit?.state).toBe(AuditState.AUDIT_STATE_FAILED);
    expect(audit?.error).toContain(
      'AUDIT_STATE: The checkpoint was begun with other model files; now served: weights bb.',
    );
  });

  it('a peer that breaks fails the audit, and the audit resumes once the peer is back', async () => {
    const { client } = await bench.start();
    let calls = 0;
    bench.peers.script.onEvaluation = () => {
      calls += 1;
      if (calls === 10) throw new Error('the card fell out');
    };
    const id = await create(client, specOf(2));
    await watchToEnd(client, id);
    const { audit } = await client.getAudit({ id });
    expect(audit).toMatchObject({ state: AuditState.AUDIT_STATE_FAILED, error: expect.stringMatching(/^INTERNAL: /) });
    const checkpoint = await bench.storedKeys(id);
    await client.resumeAudit({ id });
    await watchToEnd(client, id);
    expect((await client.getAudit({ id })).audit?.state).toBe(AuditState.AUDIT_STATE_SUCCEEDED);
    expect(checkpoint.length).toBeGreaterThan(3);
    expect(checkpoint.filter((key) => bench.peers.runs.get(key) !== 1)).toEqual([]);
  });

  it('a peer that is away for longer than calls are made again is waited for, and nothing finished is run twice', async () => {
    const connected = openPeers(bench.peers.addresses);
    let isAway = false;
    let waits = 0;
    // The start waits once; the wait after that ends with the peer's return.
    const waitUntilReady = async (limitMs: number) => {
      await connected.waitUntilReady(limitMs);
      waits += 1;
      if (waits > 1) isAway = false;
    };
    let calls = 0;
    bench.peers.script.onEvaluation = () => {
      calls += 1;
      if (calls === 10) isAway = true;
      if (isAway) throw fault('PEER_UNAVAILABLE', 'Inference is away.');
    };
    const store = new FileAuditStore(join(bench.folder, 'audits'));
    const peers = { ...connected, waitUntilReady };
    const audits = await Audits.open({ store, peers, logger: silentLogger, concurrency: 2, peerWaitMs: 2_000 });
    const { id } = await audits.create(decodeSpec(WireSpec.fromPartial(specOf(2))), '');
    await expect.poll(async () => (await audits.get(id)).state, { timeout: 60_000 }).toBe('succeeded');
    expect(waits).toBe(2);
    const warnings = (await store.readEvents(id, 0)).filter((event) => event.kind === 'warning');
    expect(warnings.filter(({ code }) => code === 'PEER_AWAY')).toHaveLength(1);
    expect([...bench.peers.runs.values()].filter((runs) => runs !== 1)).toEqual([]);
    await audits.stop();
    connected.close();
  });

  it('an audit that is seen to have failed can be resumed at that moment, while its last event is still being stored', async () => {
    class SlowEnd extends FileAuditStore {
      override async appendEvent(id: string, event: AuditEvent): Promise<void> {
        if (event.kind === 'ended') await sleep(500);
        return super.appendEvent(id, event);
      }
    }
    const store = new SlowEnd(join(bench.folder, 'audits'));
    const peers = openPeers(bench.peers.addresses);
    const audits = await Audits.open({ store, peers, logger: silentLogger, concurrency: 2, peerWaitMs: 2_000 });
    bench.peers.script.onEvaluation = () => {
      throw new Error('the card fell out');
    };
    const { id } = await audits.create(decodeSpec(WireSpec.fromPartial(specOf(2))), '');
    await expect.poll(async () => (await audits.get(id)).state, { timeout: 20_000, interval: 5 }).toBe('failed');
    bench.peers.script.onEvaluation = () => undefined;
    expect((await audits.resume(id)).state).toBe('running');
    await expect.poll(async () => (await audits.get(id)).state, { timeout: 60_000 }).toBe('succeeded');
    await audits.stop();
    peers.close();
  });
});
