/** The users of k8s/nats-accounts.yaml on a nats-server that asks for certificates: a service is the one that its certificate names. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { evaluationQueueName } from '../../../shared/bus/evaluation-work.js';
import { connectNatsBus } from '../../../shared/bus/nats/connect-nats-bus.js';
import type { SharedPart } from '../../../shared/bus/nats/nats-settings.js';
import { silentLogger } from '../../../shared/log/create-logger.js';
import { projectRoot } from '../../../shared/project/root.js';
import { type NatsServer, startNatsServer } from '../../fixtures/nats/nats-server.js';

let folder: string;
let server: NatsServer;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'refusalscope-nats-tls-'));
  const names = ['nats', 'inference', 'search', 'coordinator', 'sae'];
  execFileSync('bash', [join(projectRoot, 'deploy/dev-certs.sh'), folder, ...names], { stdio: 'ignore' });
  const { config } = parse(readFileSync(join(projectRoot, 'k8s/nats-accounts.yaml'), 'utf8'));
  const file = (name: string): string => join(folder, 'nats', name);
  const files = `cert_file: "${file('tls.crt')}", key_file: "${file('tls.key')}", ca_file: "${file('ca.crt')}"`;
  const accounts = JSON.stringify(config.merge.accounts);
  server = await startNatsServer({ configuration: `tls { ${files}, verify_and_map: true }\naccounts: ${accounts}` });
});
afterAll(async () => {
  await server?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** @param certificate whose it shows @param clientName who it says it is */
const open = (certificate: string, clientName: string, shares: readonly SharedPart[], connectLimitMs = 10_000) => {
  const file = (name: string): string => join(folder, certificate, name);
  const tls = { caFile: file('ca.crt'), certFile: file('tls.crt'), keyFile: file('tls.key') };
  const own = { clientName, shares, tls, connectLimitMs, callLimitMs: 3_000 };
  return connectNatsBus({ servers: [server.url.replace('nats:', 'tls:')], logger: silentLogger, ...own });
};
const QUEUE = evaluationQueueName('smollm2-135m-refusal');

describe('a service on the bus, known by its certificate', () => {
  it('each does its part', async () => {
    const search = await open('search', 'search', ['blobs']);
    const inference = await open('inference', 'inference', ['blobs']);
    const coordinator = await open('coordinator', 'coordinator', ['events']);
    try {
      const bank = await search.blobs.put(Buffer.from('a bank'));
      const answered = await inference.workQueue({ name: QUEUE });
      const workers = await answered.consume(async () => (await inference.blobs.get(bank)) ?? new Uint8Array());
      const queue = await search.workQueue({ name: QUEUE });
      const { id } = await queue.publish({ requester: 'a1', payload: Buffer.from('an item') });
      await expect.poll(async () => (await queue.outcome(id))?.kind, { timeout: 10_000 }).toBe('done');
      await workers.drain(1_000);
      await (await coordinator.checkpoints('audits')).put('record/a1', Buffer.from('one'));
      await coordinator.events.append('a1', 1, Buffer.from('first'));
    } finally {
      for (const bus of [search, inference, coordinator]) await bus.close();
    }
  });

  it('one that says it is another one has the rights of its certificate', async () => {
    await expect(open('inference', 'coordinator', ['events'])).rejects.toMatchObject({ code: expect.any(String) });
  });

  it('a service of the mesh that has no business on the bus does not come in', async () => {
    await expect(open('sae', 'sae', [], 1_500)).rejects.toMatchObject({ code: 'PEER_UNAVAILABLE' });
  });
});
