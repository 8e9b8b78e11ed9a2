import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  AuditState,
  CoordinatorServiceDefinition,
  type WatchAuditResponse,
} from '../../../proto/gen/refusalscope/v1/coordinator.js';
import { EvaluationRecord } from '../../../proto/gen/refusalscope/v1/search.js';
import { reportSchema } from '../../../services/coordinator/report/report-schema.js';
import type { Report } from '../../../services/coordinator/report/report-type.js';
import { startCoordinatorService } from '../../../services/coordinator/start.js';
import { readEvaluationLog } from '../../../services/coordinator/store/evaluation-log.js';
import type { Fault } from '../../../shared/errors/fault.js';
import { silentLogger } from '../../../shared/log/create-logger.js';
import { type Connection, connect } from '../../../shared/rpc/connect.js';
import { specOf } from './audit-spec-fixture.js';
import { type ScriptedPeers, startScriptedPeers } from './scripted-peers.js';

let folder: string;
let peers: ScriptedPeers;
const open: { close(): unknown }[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'refusalscope-test-'));
  peers = await startScriptedPeers();
  open.push({ close: () => peers.stop() });
});
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
  await rm(folder, { recursive: true, force: true });
});

type Client = Connection<typeof CoordinatorServiceDefinition>['client'];

const startCoordinator = async (stateDir = folder): Promise<{ client: Client; stop: () => Promise<void> }> => {
  const running = await startCoordinatorService({
    ...peers.addresses,
    listen: '127.0.0.1:0',
    stateDir,
    peerWaitMs: 2_000,
    logger: silentLogger,
  });
  const connection = connect(CoordinatorServiceDefinition, running.address);
  let stopped = false;
  const stop = async () => {
    if (stopped) return;
    stopped = true;
    connection.close();
    await running.stop();
  };
  open.push({ close: stop });
  return { client: connection.client, stop };
};

const watchToEnd = async (client: Client, id: string, afterSequence = 0) => {
  const events: NonNullable<WatchAuditResponse['event']>[] = [];
  for await (const { event } of client.watchAudit({ id, afterSequence })) if (event !== undefined) events.push(event);
  return events;
};
const reportOf = async (client: Client, id: string): Promise<{ text: string; report: Report }> => {
  const chunks: Buffer[] = [];
  for await (const { chunk } of client.getReport({ id, format: 1 })) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString('utf8');
  return { text, report: JSON.parse(text) as Report };
};
const caught = async (promise: Promise<unknown>): Promise<Fault> =>
  promise.then(
    () => Promise.reject(new Error('the call was expected to fail')),
    (thrown) => thrown,
  );
/** Everything that must not depend on how often the audit was interrupted. */
const withoutVolatile = (report: Report) =>
  JSON.stringify({ ...report, run: null, audit: { ...report.audit, id: '' } });
/** Keys of the evaluations that an audit's checkpoint holds. */
const storedKeys = async (id: string): Promise<string[]> => {
  const stored = await readEvaluationLog(join(folder, 'audits', id, 'evaluations.binlog'));
  return stored.map(({ record }) => EvaluationRecord.decode(record).key.toString('hex'));
};
const create = async (client: Client, spec: object, requestId = '') => {
  const { audit } = await client.createAudit({ spec, requestId });
  return audit!.id;
};

describe('a whole audit', () => {
  it('runs its stages in order, streams events without gaps, and ends with a report', async () => {
    const { client } = await startCoordinator();
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
    const { client } = await startCoordinator();
    await watchToEnd(client, await create(client, specOf(3)));
    expect(peers.runs.size).toBeGreaterThan(50);
    expect([...peers.runs.values()].filter((count) => count > 1)).toEqual([]);
  });

  it('events and state hold no prompt text', async () => {
    const { client } = await startCoordinator();
    const id = await create(client, specOf(2));
    await watchToEnd(client, id);
    for (const name of ['events.jsonl', 'state.json']) {
      expect(await readFile(join(folder, 'audits', id, name), 'utf8')).not.toContain('What about');
    }
  });

  it('a redacted audit leaves the first words out', async () => {
    const { client } = await startCoordinator();
    const id = await create(client, specOf(2, { redactAnswers: true }));
    await watchToEnd(client, id);
    const { text } = await reportOf(client, id);
    expect(text).not.toMatch(/What about|Sure|I am/);
  });

  it('the report as a page is self-contained HTML', async () => {
    const { client } = await startCoordinator();
    const id = await create(client, specOf(2));
    await watchToEnd(client, id);
    const chunks: Buffer[] = [];
    for await (const { chunk } of client.getReport({ id, format: 2 })) chunks.push(chunk);
    expect(Buffer.concat(chunks).toString('utf8')).toMatch(/^<!doctype html>/i);
  });

  it('watching from the middle gives the rest', async () => {
    const { client } = await startCoordinator();
    const id = await create(client, specOf(2));
    const all = await watchToEnd(client, id);
    const rest = await watchToEnd(client, id, 5);
    expect(rest).toEqual(all.slice(5));
  });
});

describe('interruption', () => {
  it('stopping the coordinator leaves a checkpoint that resumes to the same report, without redoing an evaluation', async () => {
    const whole = await startCoordinator(join(folder, 'whole'));
    const wholeId = await create(whole.client, specOf(4));
    await watchToEnd(whole.client, wholeId);
    const expected = await reportOf(whole.client, wholeId);
    const runsOfWhole = peers.runs.size;
    peers.runs.clear();

    peers.script.delayMs = 5;
    const first = await startCoordinator();
    const id = await create(first.client, specOf(4));
    await expect.poll(() => peers.runs.size, { timeout: 10_000 }).toBeGreaterThan(25);
    await first.stop();
    const checkpoint = await storedKeys(id);
    expect(checkpoint.length).toBeGreaterThan(20);
    expect(checkpoint.length).toBeLessThan(runsOfWhole);

    peers.script.delayMs = 0;
    const second = await startCoordinator();
    expect((await second.client.getAudit({ id })).audit?.state).toBe(AuditState.AUDIT_STATE_INTERRUPTED);
    await second.client.resumeAudit({ id });
    await watchToEnd(second.client, id);
    const resumed = await reportOf(second.client, id);
    expect(withoutVolatile(resumed.report)).toBe(withoutVolatile(expected.report));
    expect(resumed.report.run.resumed).toBe(1);
    expect(peers.runs.size).toBe(runsOfWhole);
    expect(checkpoint.filter((key) => peers.runs.get(key) !== 1)).toEqual([]);
  });

  it('a cancelled audit stops, keeps its checkpoint, and can be resumed', async () => {
    peers.script.delayMs = 20;
    const { client } = await startCoordinator();
    const id = await create(client, specOf(4));
    await expect.poll(() => peers.runs.size, { timeout: 10_000 }).toBeGreaterThan(5);
    const { audit } = await client.cancelAudit({ id });
    expect(audit?.state).toBe(AuditState.AUDIT_STATE_CANCELLED);
    const runsThen = peers.runs.size;
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(peers.runs.size).toBe(runsThen);
    expect((await watchToEnd(client, id)).at(-1)?.event?.$case).toBe('auditEnded');
    peers.script.delayMs = 0;
    await client.resumeAudit({ id });
    const events = await watchToEnd(client, id);
    expect(events.at(-1)?.event).toMatchObject({ value: { state: AuditState.AUDIT_STATE_SUCCEEDED } });
    expect(events.map((event) => event.sequence)).toEqual(events.map((_, i) => i + 1));
  });

  it('a checkpoint is not continued with other weights', async () => {
    peers.script.delayMs = 20;
    const { client } = await startCoordinator();
    const id = await create(client, specOf(4));
    await expect.poll(() => peers.runs.size, { timeout: 10_000 }).toBeGreaterThan(5);
    await client.cancelAudit({ id });
    peers.script.weightsSha256 = 'bb';
    await client.resumeAudit({ id });
    await watchToEnd(client, id);
    const { audit } = await client.getAudit({ id });
    expect(audit?.state).toBe(AuditState.AUDIT_STATE_FAILED);
    expect(audit?.error).toContain(
      'AUDIT_STATE: The checkpoint was begun with other model files; now served: weights bb.',
    );
  });

  it('a peer that breaks fails the audit, and the audit resumes once the peer is back', async () => {
    const { client } = await startCoordinator();
    let calls = 0;
    peers.script.onEvaluation = () => {
      calls += 1;
      if (calls === 10) throw new Error('the card fell out');
    };
    const id = await create(client, specOf(2));
    await watchToEnd(client, id);
    const { audit } = await client.getAudit({ id });
    expect(audit).toMatchObject({ state: AuditState.AUDIT_STATE_FAILED, error: expect.stringMatching(/^INTERNAL: /) });
    const checkpoint = await storedKeys(id);
    await client.resumeAudit({ id });
    await watchToEnd(client, id);
    expect((await client.getAudit({ id })).audit?.state).toBe(AuditState.AUDIT_STATE_SUCCEEDED);
    expect(checkpoint.length).toBeGreaterThan(3);
    expect(checkpoint.filter((key) => peers.runs.get(key) !== 1)).toEqual([]);
  });
});

describe('requests', () => {
  it('the same request_id with the same spec gives the same audit, with another spec a fault', async () => {
    const { client } = await startCoordinator();
    const first = await create(client, specOf(2), 'mine');
    expect(await create(client, specOf(2), 'mine')).toBe(first);
    await watchToEnd(client, first);
    expect(await create(client, specOf(2), 'mine')).toBe(first);
    const thrown = await caught(create(client, specOf(3), 'mine'));
    expect(thrown).toMatchObject({ code: 'REQUEST_INVALID', message: expect.stringContaining(`made audit ${first}`) });
    expect(await readdir(join(folder, 'audits'))).toEqual([first]);
  });

  const invalid: [string, object, string, string][] = [
    ['no prompts', { prompts: [] }, 'REQUEST_INVALID', 'has 0 prompts; 2 to 10000'],
    [
      'one label only',
      { prompts: specOf(2).prompts.filter(({ label }) => label === 1) },
      'REQUEST_INVALID',
      'no harmless prompt',
    ],
    [
      'the same id twice',
      { prompts: [...specOf(2).prompts, ...specOf(1).prompts] },
      'REQUEST_INVALID',
      'Two prompts have the id "h0"',
    ],
    [
      'a growth that falls',
      { growth: [20, 10] },
      'REQUEST_INVALID',
      'growth must be ascending without repeats; 10 follows 20',
    ],
    ['an unknown search prompt', { searchPromptIds: ['x'] }, 'REQUEST_INVALID', 'search_prompt_ids names "x"'],
    ['too long a title', { title: 'x'.repeat(129) }, 'REQUEST_INVALID', 'title has 129 characters; at most 128'],
    ['an empty range', { positions: { span: 4, start: 5, end: 5 } }, 'REQUEST_INVALID', 'holds no position'],
  ];
  it.each(invalid)('%s is refused at once', async (_name, changes, code, text) => {
    const { client } = await startCoordinator();
    const thrown = await caught(create(client, specOf(2, changes)));
    expect(thrown).toMatchObject({ code, message: expect.stringContaining(text) });
    expect((await client.listAudits({})).audits).toEqual([]);
  });

  it('an empty prompt is PROMPT_EMPTY with its id', async () => {
    const { client } = await startCoordinator();
    const { prompts } = specOf(2);
    prompts[0]!.prompt.input.value = ' ';
    expect(await caught(create(client, { ...specOf(2), prompts }))).toMatchObject({
      code: 'PROMPT_EMPTY',
      message: 'Prompt h0 is empty.',
    });
  });

  it.each([
    [
      'a layer without SAE',
      { layers: [2, 4] },
      'SAE_UNKNOWN: No SAE is loaded for layer 4. SAEs are loaded for layers 1, 2, 3.',
    ],
    [
      'a prompt over the context',
      {
        prompts: specOf(2).prompts.map((one) => ({
          ...one,
          prompt: { ...one.prompt, input: { $case: 'text' as const, value: 'x'.repeat(300) } },
        })),
      },
      'PROMPT_TOO_LONG: Prompt h0 is too long.',
    ],
  ])('%s fails the audit in its first stage', async (_name, changes, error) => {
    const { client } = await startCoordinator();
    const id = await create(client, specOf(2, changes));
    await watchToEnd(client, id);
    expect((await client.getAudit({ id })).audit).toMatchObject({
      state: AuditState.AUDIT_STATE_FAILED,
      stage: 'describe',
      error,
    });
  });

  it('a model that refuses nothing is AUDIT_IMPOSSIBLE, with the count', async () => {
    peers.script.refuses = () => false;
    const { client } = await startCoordinator();
    const id = await create(client, specOf(2));
    await watchToEnd(client, id);
    expect((await client.getAudit({ id })).audit?.error).toBe(
      'AUDIT_IMPOSSIBLE: The model refuses 0 of 2 harmful prompts of this set: there is no refusal to explain.',
    );
  });

  it.each(['nope', '../../etc', ''])('no audit has the id %j', async (id) => {
    const { client } = await startCoordinator();
    expect((await caught(client.getAudit({ id }))).code).toBe('AUDIT_UNKNOWN');
    expect((await caught(client.resumeAudit({ id }))).code).toBe('AUDIT_UNKNOWN');
  });

  it('a report before the end, and a resume after success, are AUDIT_STATE', async () => {
    peers.script.delayMs = 20;
    const { client } = await startCoordinator();
    const id = await create(client, specOf(2));
    expect(await caught(reportOf(client, id))).toMatchObject({
      code: 'AUDIT_STATE',
      message: `Audit ${id} is running: it has no report yet.`,
    });
    peers.script.delayMs = 0;
    await watchToEnd(client, id);
    expect(await caught(client.resumeAudit({ id }))).toMatchObject({
      code: 'AUDIT_STATE',
      message: `Audit ${id} has succeeded: there is nothing to resume.`,
    });
  });

  it('lists newest first, in pages', async () => {
    const { client } = await startCoordinator();
    const ids: string[] = [];
    for (let i = 0; i < 3; i++) {
      ids.unshift(await create(client, specOf(2, { seed: i })));
      await watchToEnd(client, ids[0]!);
    }
    const first = await client.listAudits({ pageSize: 2 });
    const second = await client.listAudits({ pageSize: 2, pageToken: first.nextPageToken });
    expect([...first.audits, ...second.audits].map((audit) => audit.id)).toEqual(ids);
    expect(second.nextPageToken).toBe('');
    expect((await caught(client.listAudits({ pageToken: 'x' }))).code).toBe('REQUEST_INVALID');
  });

  it('comparing two audits says what moved', async () => {
    const { client } = await startCoordinator();
    const before = await create(client, specOf(2));
    await watchToEnd(client, before);
    const after = await create(client, specOf(2, { searchPromptIds: ['h1'] }));
    await watchToEnd(client, after);
    const { comparisonJson } = await client.compareAudits({ beforeId: before, afterId: after });
    expect(JSON.parse(comparisonJson)).toMatchObject({
      schema: 'refusalscope.comparison/1',
      samePromptSet: true,
      minimalSetsFound: { before: { count: 2, of: 2 }, after: { count: 1, of: 1 } },
      features: { gained: [], lost: [], kept: ['1/0', '1/1'], layersWithSameSae: [1, 2, 3] },
      directionCosines: [1, 2, 3, 4].map((layer) => ({ layer, cosine: 1 })),
    });
  });
});
