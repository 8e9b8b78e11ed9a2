import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { createChannel, createClient } from 'nice-grpc';
import { HealthDefinition } from 'nice-grpc-server-health';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { projectRoot } from '../../../shared/project/root.js';
import { LIVENESS } from '../../../shared/rpc/start-server.js';
import { bank, type Closing, dialAs, drain, evaluation, startGuarded } from './guarded-server.js';
import { createTokenKit, ISSUER } from './token-kit.js';

const folder = mkdtempSync(join(tmpdir(), 'refusalscope-tls-'));
const makeCerts = (dir: string, ...names: string[]) =>
  execFileSync(join(projectRoot, 'deploy/dev-certs.sh'), [join(folder, dir), ...names], { stdio: 'pipe' });
const tlsOf = (name: string, dir = 'mesh') => ({
  REFUSALSCOPE_TLS_CERT: join(folder, dir, name, 'tls.crt'),
  REFUSALSCOPE_TLS_KEY: join(folder, dir, name, 'tls.key'),
  REFUSALSCOPE_TLS_CA: join(folder, dir, name, 'ca.crt'),
});

beforeAll(() => {
  makeCerts('mesh', 'inference', 'search', 'fm');
  makeCerts('stranger', 'search');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const closing: Closing = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** The serial number of the certificate that a server shows to a new connection. */
const shownSerial = (address: string, name: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const port = Number(address.split(':')[1]);
    const { cert, key } = pem(name);
    const socket = connectTls(
      { host: '127.0.0.1', port, rejectUnauthorized: false, cert, key, ALPNProtocols: ['h2'] },
      () => {
        resolve(socket.getPeerCertificate().serialNumber);
        socket.destroy();
      },
    );
    socket.on('error', reject);
  });
const pem = (name: string) => ({
  cert: execFileSync('cat', [join(folder, 'mesh', name, 'tls.crt')]),
  key: execFileSync('cat', [join(folder, 'mesh', name, 'tls.key')]),
});

describe('mutual TLS', () => {
  it('a service with a certificate of the mesh is known by name and has its scopes', async () => {
    const { server, seen } = await startGuarded(tlsOf('inference'), closing);
    const { client } = await dialAs(server.address, tlsOf('search'), closing);
    await drain(client.evaluateMasks({ ...evaluation, bank }));
    expect(seen).toEqual(['evaluateMasks']);
    const { client: fm } = await dialAs(server.address, tlsOf('fm'), closing);
    await expect(fm.describeModel({})).rejects.toMatchObject({
      code: 'FORBIDDEN',
      message: expect.stringMatching(/needs the scope read here; the caller has no scope/),
    });
  });

  it('nobody connects without a certificate, with one of another authority, or in plain text', async () => {
    const { server, seen } = await startGuarded(tlsOf('inference'), closing);
    const stranger = { ...tlsOf('search', 'stranger'), REFUSALSCOPE_TLS_CA: join(folder, 'mesh/ca.crt') };
    for (const settings of [{}, stranger]) {
      const { client } = await dialAs(server.address, settings, closing);
      await expect(client.describeModel({}, { deadlineMs: 2_000 })).rejects.toMatchObject({
        code: expect.stringMatching(/^(PEER_UNAVAILABLE|DEADLINE)$/),
      });
    }
    expect(seen).toEqual([]);
  });

  it('a client refuses a server of another authority', async () => {
    const { server } = await startGuarded(tlsOf('search', 'stranger'), closing);
    const { client } = await dialAs(server.address, tlsOf('search'), closing);
    await expect(client.describeModel({}, { deadlineMs: 2_000 })).rejects.toMatchObject({ code: 'PEER_UNAVAILABLE' });
  });

  it('where certificates are asked for and not required, a token serves as well, and a stranger’s certificate as nothing', async () => {
    const kit = await createTokenKit();
    closing.push(kit.remove);
    const settings = {
      REFUSALSCOPE_TLS_CLIENTS: 'request',
      REFUSALSCOPE_JWKS: kit.jwksPath,
      REFUSALSCOPE_JWT_ISSUER: ISSUER,
    };
    const { server } = await startGuarded({ ...tlsOf('inference'), ...settings }, closing);
    const stranger = { ...tlsOf('search', 'stranger'), REFUSALSCOPE_TLS_CA: join(folder, 'mesh/ca.crt') };
    const { client } = await dialAs(server.address, stranger, closing);
    await expect(client.describeModel({})).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    const { client: withToken } = await dialAs(
      server.address,
      { ...stranger, REFUSALSCOPE_TOKEN: await kit.sign() },
      closing,
    );
    await withToken.describeModel({});
  });
});

describe('rotation', () => {
  it('new certificates serve new connections without a restart; a running connection goes on; half a renewal is passed over', async () => {
    makeCerts('mesh', 'sae');
    const settings = { ...tlsOf('sae'), REFUSALSCOPE_TLS_RELOAD_S: '1' };
    const { server, lines } = await startGuarded(settings, closing);
    const { client } = await dialAs(server.address, { ...tlsOf('search'), REFUSALSCOPE_TLS_RELOAD_S: '1' }, closing);
    await client.describeModel({});
    const before = await shownSerial(server.address, 'search');

    // The key of another certificate: what a reader may see between the two writes of a renewal.
    copyFileSync(join(folder, 'mesh/sae/tls.key'), join(folder, 'kept.key'));
    copyFileSync(join(folder, 'mesh/fm/tls.key'), join(folder, 'mesh/sae/tls.key'));
    await waitFor(() => lines.join('').includes('the old ones stay'));
    expect(await shownSerial(server.address, 'search')).toBe(before);
    copyFileSync(join(folder, 'kept.key'), join(folder, 'mesh/sae/tls.key'));

    makeCerts('mesh', 'sae', 'search');
    await waitFor(async () => (await shownSerial(server.address, 'search')) !== before);
    await client.describeModel({});
    const { client: fresh } = await dialAs(server.address, tlsOf('search'), closing);
    await fresh.describeModel({});
  });
});

const waitFor = async (condition: () => boolean | Promise<boolean>): Promise<void> => {
  for (let tries = 0; tries < 100; tries++) {
    if (await condition()) return;
    await sleep(100);
  }
  throw new Error('the condition did not come true within 10 s');
};

describe('deny by default', () => {
  it('beyond loopback a server without authentication does not start, unless a person said so', async () => {
    await expect(startGuarded({}, closing, '0.0.0.0:0')).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(
        /^0\.0\.0\.0:0 can be reached from other machines, and no authentication is configured/,
      ),
    });
    const noClients = { ...tlsOf('inference'), REFUSALSCOPE_TLS_CLIENTS: 'none' };
    await expect(startGuarded(noClients, closing, '0.0.0.0:0')).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    await startGuarded(tlsOf('inference'), closing, '0.0.0.0:0');
    await startGuarded({ REFUSALSCOPE_INSECURE: '1' }, closing, '0.0.0.0:0');
  });

  it('probes may have a plain port of their own, which answers health and nothing else', async () => {
    const probe = `127.0.0.1:${40_000 + (process.pid % 20_000)}`;
    const { server } = await startGuarded({ ...tlsOf('inference'), REFUSALSCOPE_HEALTH_LISTEN: probe }, closing);
    const channel = createChannel(probe);
    closing.push(() => channel.close());
    const health = createClient(HealthDefinition, channel);
    expect((await health.check({ service: '' })).status).toBe(1);
    server.setAlive(false);
    expect((await health.check({ service: LIVENESS })).status).toBe(2);
    const { client } = await dialAs(probe, {}, closing);
    await expect(client.describeModel({})).rejects.toMatchObject({ code: 'UNSUPPORTED' });
  });

  it.each([
    ['one file of three', { REFUSALSCOPE_TLS_CERT: '/x' }, /REFUSALSCOPE_TLS_KEY and REFUSALSCOPE_TLS_CA: set all of/],
    ['keys without an issuer', { REFUSALSCOPE_JWKS: '/x' }, /REFUSALSCOPE_JWT_ISSUER: name the issuer/],
    ['a file that is away', { ...tlsOf('gone') }, /gone\/tls\.crt cannot be read: ENOENT/],
  ])('%s is CONFIG_INVALID at the start', async (_what, settings, text) => {
    const started = startGuarded(settings as Record<string, string>, closing);
    await expect(started).rejects.toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringMatching(text) });
  });

  it('a key of another certificate is CONFIG_INVALID at the start', async () => {
    writeFileSync(join(folder, 'other.key'), pem('search').key);
    const settings = { ...tlsOf('inference'), REFUSALSCOPE_TLS_KEY: join(folder, 'other.key') };
    await expect(startGuarded(settings, closing)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(/other\.key does not belong to the certificate .*inference\/tls\.crt/),
    });
  });
});
