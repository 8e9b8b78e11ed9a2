import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { AuditState, CoordinatorServiceDefinition } from '../../../proto/gen/refusalscope/v1/coordinator.js';
import { EvaluationRecord } from '../../../proto/gen/refusalscope/v1/search.js';
import type { Report } from '../../../services/coordinator/report/report-type.js';
import { readEvaluationLog } from '../../../services/coordinator/store/evaluation-log.js';
import { projectRoot } from '../../../shared/project/root.js';
import { connect } from '../../../shared/rpc/connect.js';
import { specOf } from './audit-spec-fixture.js';
import { type ScriptedPeers, startScriptedPeers } from './scripted-peers.js';

let folder: string;
let peers: ScriptedPeers;
const processes: ChildProcess[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'refusalscope-test-'));
  peers = await startScriptedPeers();
});
afterEach(async () => {
  for (const child of processes.splice(0)) child.kill('SIGKILL');
  await peers.stop();
  await rm(folder, { recursive: true, force: true });
});

/** The coordinator as its own process, on a free port that its first log line names. */
const spawnCoordinator = async () => {
  const child = spawn(process.execPath, [join(projectRoot, 'dist/services/coordinator/main.js')], {
    env: {
      ...process.env,
      REFUSALSCOPE_COORDINATOR_LISTEN: '127.0.0.1:0',
      REFUSALSCOPE_INFERENCE_ADDRESS: peers.addresses.inferenceAddress,
      REFUSALSCOPE_SAE_ADDRESS: peers.addresses.saeAddress,
      REFUSALSCOPE_SEARCH_ADDRESS: peers.addresses.searchAddress,
      REFUSALSCOPE_FM_ADDRESS: peers.addresses.fmAddress,
      REFUSALSCOPE_STATE_DIR: folder,
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  processes.push(child);
  let said = '';
  const address = await new Promise<string>((resolve, reject) => {
    child.stderr.on('data', (data: Buffer) => {
      said += data;
      const match = /"address":"([^"]+)"/.exec(said);
      if (match?.[1] !== undefined) resolve(match[1]);
    });
    child.on('exit', () => reject(new Error(`the coordinator ended: ${said}`)));
  });
  const connection = connect(CoordinatorServiceDefinition, address);
  return { child, client: connection.client, close: () => connection.close() };
};
type Client = Awaited<ReturnType<typeof spawnCoordinator>>['client'];

const finish = async (client: Client, id: string): Promise<Report> => {
  for await (const _ of client.watchAudit({ id }));
  const chunks: Buffer[] = [];
  for await (const { chunk } of client.getReport({ id, format: 1 })) chunks.push(chunk);
  return JSON.parse(Buffer.concat(chunks).toString('utf8')) as Report;
};
const withoutVolatile = ({ run: _run, audit, ...rest }: Report) =>
  JSON.stringify({ ...rest, audit: { ...audit, id: '' } });

it('a coordinator that is killed, twice, with a cut last record, resumes to the same report and redoes nothing stored', async () => {
  const whole = await spawnCoordinator();
  const expected = await finish(whole.client, (await whole.client.createAudit({ spec: specOf(4) })).audit!.id);
  whole.close();
  peers.runs.clear();

  peers.script.delayMs = 8;
  let coordinator = await spawnCoordinator();
  const id = (await coordinator.client.createAudit({ spec: specOf(4) })).audit!.id;
  const log = join(folder, 'audits', id, 'evaluations.binlog');
  const stored = async () =>
    (await readEvaluationLog(log)).map(({ record }) => EvaluationRecord.decode(record).key.toString('hex'));
  for (const enough of [5, 40]) {
    await expect.poll(async () => (await stored()).length, { timeout: 20_000, interval: 10 }).toBeGreaterThan(enough);
    coordinator.child.kill('SIGKILL');
    await once(coordinator.child, 'exit');
    coordinator.close();
    // What a kill in the middle of a write leaves.
    await appendFile(log, Buffer.from([90, 0, 0, 0, 1, 2, 3]));
    coordinator = await spawnCoordinator();
    expect((await coordinator.client.getAudit({ id })).audit?.state).toBe(AuditState.AUDIT_STATE_INTERRUPTED);
    const before = await stored();
    const runsBefore = new Map(before.map((key) => [key, peers.runs.get(key)]));
    await coordinator.client.resumeAudit({ id });
    if (enough === 40) {
      peers.script.delayMs = 0;
      const report = await finish(coordinator.client, id);
      expect(withoutVolatile(report)).toBe(withoutVolatile(expected));
      expect(report.run.resumed).toBe(2);
    }
    expect(before.filter((key) => peers.runs.get(key) !== runsBefore.get(key))).toEqual([]);
  }
  const events = (await readFile(join(folder, 'audits', id, 'events.jsonl'), 'utf8')).trim().split('\n');
  expect(events.map((line) => JSON.parse(line).sequence)).toEqual(events.map((_, i) => i + 1));
  coordinator.close();
});

it('two coordinators on one state folder do not work on the same audit', async () => {
  peers.script.delayMs = 20;
  const [first, second] = [await spawnCoordinator(), await spawnCoordinator()];
  const id = (await first.client.createAudit({ spec: specOf(3) })).audit!.id;
  await expect(second.client.resumeAudit({ id })).rejects.toMatchObject({
    code: 'AUDIT_STATE',
    message: `Another process works on audit ${id}.`,
  });
  await expect(second.client.cancelAudit({ id })).rejects.toMatchObject({
    code: 'AUDIT_STATE',
    message: `Audit ${id} runs in another process: cancel it there.`,
  });
  peers.script.delayMs = 0;
  const kinds: (string | undefined)[] = [];
  for await (const { event } of second.client.watchAudit({ id })) kinds.push(event?.event?.$case);
  expect(kinds.at(-1)).toBe('auditEnded');
  first.close();
  second.close();
});

it('SIGTERM ends the process with code 0 and leaves a checkpoint', async () => {
  peers.script.delayMs = 20;
  const { child, client, close } = await spawnCoordinator();
  const id = (await client.createAudit({ spec: specOf(3) })).audit!.id;
  await expect.poll(() => peers.runs.size, { timeout: 30_000 }).toBeGreaterThan(3);
  child.kill('SIGTERM');
  const [code] = await once(child, 'exit');
  expect(code).toBe(0);
  close();
  expect(JSON.parse(await readFile(join(folder, 'audits', id, 'state.json'), 'utf8')).state).toBe('interrupted');
});
