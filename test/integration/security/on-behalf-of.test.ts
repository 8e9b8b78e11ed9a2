import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Metadata } from 'nice-grpc';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { SaeServiceDefinition } from '../../../proto/gen/refusalscope/v1/sae.js';
import { silentLogger } from '../../../shared/log/create-logger.js';
import { openEdge } from '../../../shared/process/open-edge.js';
import { projectRoot } from '../../../shared/project/root.js';
import { connect } from '../../../shared/rpc/connect.js';
import { bindService, startServer } from '../../../shared/rpc/start-server.js';
import { bank, bearer, type Closing, dialAs, drain, edgeSettings, evaluation, startGuarded } from './guarded-server.js';
import { createTokenKit, ISSUER, type TokenKit } from './token-kit.js';

const folder = mkdtempSync(join(tmpdir(), 'refusalscope-behalf-'));
let kit: TokenKit;
beforeAll(async () => {
  kit = await createTokenKit();
  execFileSync(join(projectRoot, 'deploy/dev-certs.sh'), [folder, 'search', 'inference'], { stdio: 'pipe' });
});
afterAll(() => {
  kit.remove();
  rmSync(folder, { recursive: true, force: true });
});
const closing: Closing = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});
const tlsOf = (name: string) => ({
  REFUSALSCOPE_TLS_CERT: join(folder, name, 'tls.crt'),
  REFUSALSCOPE_TLS_KEY: join(folder, name, 'tls.key'),
  REFUSALSCOPE_TLS_CA: join(folder, name, 'ca.crt'),
});
const lastBegun = (dir: string) =>
  readFileSync(join(folder, dir, 'inference.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))
    .findLast(({ event }) => event === 'began');

it('an edit that a service makes for a person names both, however deep in its work the call is', async () => {
  const back = await startGuarded({ ...tlsOf('inference'), REFUSALSCOPE_AUDIT_LOG_DIR: join(folder, 'deep') }, closing);
  const tokens = { REFUSALSCOPE_JWKS: kit.jwksPath, REFUSALSCOPE_JWT_ISSUER: ISSUER };
  const front = await openEdge(
    'search',
    edgeSettings({ ...tlsOf('search'), ...tokens, REFUSALSCOPE_TLS_CLIENTS: 'request' }),
    silentLogger,
  );
  closing.push(() => front.close());
  const toBack = await dialAs(back.server.address, tlsOf('search'), closing, 'search');
  const unused = async () => ({});
  const service = bindService(SaeServiceDefinition, {
    listSaes: async () => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      await drain(toBack.client.evaluateMasks({ ...evaluation, bank }));
      return { saes: [] };
    },
    encode: unused,
    findNearestFeatures: unused,
    getEditRows: unused,
    admitSae: unused,
  });
  const server = await startServer({ address: '127.0.0.1:0', services: [service], logger: silentLogger, edge: front });
  closing.push(() => server.stop(100));
  const person = await openEdge('cli', edgeSettings(tlsOf('inference')), silentLogger);
  closing.push(() => person.close());
  const { client, close } = connect(SaeServiceDefinition, server.address, { edge: person });
  closing.push(close);
  const call = (subject: string) => kit.sign({ sub: subject }).then((token) => client.listSaes({}, bearer(token)));
  await call('ada@example.org');
  expect(lastBegun('deep')).toMatchObject({ subject: 'service:search', onBehalfOf: 'ada@example.org' });
  await call('a name, with spaces');
  expect(lastBegun('deep')).toMatchObject({ subject: 'service:search', onBehalfOf: 'a_name__with_spaces' });
});

it('a person cannot speak for another', async () => {
  const tokens = { REFUSALSCOPE_JWKS: kit.jwksPath, REFUSALSCOPE_JWT_ISSUER: ISSUER };
  const { server } = await startGuarded({ ...tokens, REFUSALSCOPE_AUDIT_LOG_DIR: join(folder, 'alone') }, closing);
  const { client, close } = await dialAs(server.address, {}, closing);
  const options = bearer(await kit.sign({ sub: 'eve', scope: 'read intervene' }));
  options.metadata.set('refusalscope-on-behalf-of', 'ada');
  await drain(client.evaluateMasks({ ...evaluation, bank }, options));
  expect(lastBegun('alone')).toMatchObject({ subject: 'eve' });
  expect(lastBegun('alone')).not.toHaveProperty('onBehalfOf');
  close();
});

it('metadata that looks like a certificate’s is not taken for one', async () => {
  execFileSync(join(projectRoot, 'deploy/dev-certs.sh'), [join(folder, 'stranger'), 'search'], { stdio: 'pipe' });
  const { server, seen } = await startGuarded({ ...tlsOf('inference'), REFUSALSCOPE_TLS_CLIENTS: 'request' }, closing);
  const stranger = { ...tlsOf('stranger/search'), REFUSALSCOPE_TLS_CA: join(folder, 'ca.crt') };
  const { client } = await dialAs(server.address, stranger, closing);
  // The real name ends in random digits that a caller cannot know.
  const metadata = Metadata({ 'refusalscope-peer': 'coordinator' });
  await expect(client.describeModel({}, { metadata })).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  expect(seen).toEqual([]);
});
