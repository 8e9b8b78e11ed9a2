/** A coordinator over scripted peers with a client, and what tests ask of it. One bench a test: open it before, close it after. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CoordinatorServiceDefinition,
  type WatchAuditResponse,
} from '../../../proto/gen/refusalscope/v1/coordinator.js';
import { EvaluationRecord } from '../../../proto/gen/refusalscope/v1/search.js';
import type { Report } from '../../../services/coordinator/report/report-type.js';
import { startCoordinatorService } from '../../../services/coordinator/start.js';
import { readEvaluationLog } from '../../../services/coordinator/store/evaluation-log.js';
import type { Fault } from '../../../shared/errors/fault.js';
import { silentLogger } from '../../../shared/log/create-logger.js';
import { type Connection, connect } from '../../../shared/rpc/connect.js';
import { type ScriptedPeers, startScriptedPeers } from './scripted-peers.js';

export type Client = Connection<typeof CoordinatorServiceDefinition>['client'];

export class CoordinatorBench {
  private readonly open: { close(): unknown }[] = [];

  private constructor(
    readonly folder: string,
    readonly peers: ScriptedPeers,
  ) {}

  static async open(): Promise<CoordinatorBench> {
    return new CoordinatorBench(await mkdtemp(join(tmpdir(), 'refusalscope-test-')), await startScriptedPeers());
  }

  async close(): Promise<void> {
    for (const one of this.open.splice(0).reverse()) await one.close();
    await this.peers.stop();
    await rm(this.folder, { recursive: true, force: true });
  }

  async start(stateDir = this.folder): Promise<{ client: Client; stop: () => Promise<void> }> {
    const running = await startCoordinatorService({
      ...this.peers.addresses,
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
    this.open.push({ close: stop });
    return { client: connection.client, stop };
  }

  /** Keys of the evaluations that an audit's checkpoint holds. */
  async storedKeys(id: string): Promise<string[]> {
    const stored = await readEvaluationLog(join(this.folder, 'audits', id, 'evaluations.binlog'));
    return stored.map(({ record }) => EvaluationRecord.decode(record).key.toString('hex'));
  }
}

export const create = async (client: Client, spec: object, requestId = ''): Promise<string> => {
  const { audit } = await client.createAudit({ spec, requestId });
  return audit!.id;
};

export const watchToEnd = async (client: Client, id: string, afterSequence = 0) => {
  const events: NonNullable<WatchAuditResponse['event']>[] = [];
  for await (const { event } of client.watchAudit({ id, afterSequence })) if (event !== undefined) events.push(event);
  return events;
};

export const reportOf = async (client: Client, id: string): Promise<{ text: string; report: Report }> => {
  const chunks: Buffer[] = [];
  for await (const { chunk } of client.getReport({ id, format: 1 })) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString('utf8');
  return { text, report: JSON.parse(text) as Report };
};

export const caught = async (promise: Promise<unknown>): Promise<Fault> =>
  promise.then(
    () => Promise.reject(new Error('the call was expected to fail')),
    (thrown) => thrown,
  );

/** Everything that must not depend on how often the audit was interrupted. */
export const withoutVolatile = (report: Report): string =>
  JSON.stringify({ ...report, run: null, audit: { ...report.audit, id: '' } });
