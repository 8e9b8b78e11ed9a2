import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SignJWT, UnsecuredJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createTokenVerifier } from '../../../shared/security/token-verifier.js';
import { scratchFolder } from '../../fixtures/scratch-folder.js';
import { AUDIENCE, createTokenKit, ISSUER, type TokenKit } from './token-kit.js';

let kit: TokenKit;
beforeAll(async () => {
  kit = await createTokenKit();
});
afterAll(() => kit.remove());

const settings = () => ({ jwks: kit.jwksPath, issuer: ISSUER, audience: AUDIENCE, clockToleranceS: 5 });
const now = () => Math.floor(Date.now() / 1000);

describe('tokens', () => {
  it('a sound one gives its subject and the scopes that are ours', async () => {
    const token = await kit.sign({ scope: 'read intervene openid', sub: 'grace' });
    const principal = await createTokenVerifier(settings()).verify(token);
    expect(principal).toEqual({ subject: 'grace', kind: 'token', scopes: new Set(['read', 'intervene']) });
  });

  it('scopes may be a list, under scope or scp; without any the token may do nothing', async () => {
    const { verify } = createTokenVerifier(settings());
    expect((await verify(await kit.sign({ scope: undefined, scp: ['audit'] }))).scopes).toEqual(new Set(['audit']));
    expect((await verify(await kit.sign({ scope: undefined }))).scopes).toEqual(new Set());
  });

  it.each([
    ['expired', { exp: now() - 60 }, /has expired/],
    ['not valid yet', { nbf: now() + 600 }, /not valid yet: compare the clocks/],
    [
      'of another issuer',
      { iss: 'https://other.example' },
      /another issuer; this service takes those of https:\/\/issuer.example/,
    ],
    ['for another audience', { aud: 'billing' }, /another audience; this service is refusalscope/],
    ['without an end', { exp: undefined }, /claim "exp" is missing/],
    ['without a subject', { sub: undefined }, /claim "sub" is missing/],
    ['that plays a service', { sub: 'service:search' }, /"service:search" is reserved/],
  ])('one %s is refused', async (_what, claims, text) => {
    const token = await kit.sign(claims);
    const call = createTokenVerifier(settings()).verify(token);
    await expect(call).rejects.toMatchObject({ code: 'UNAUTHENTICATED', message: expect.stringMatching(text) });
    await call.catch((problem: Error) => expect(problem.message).not.toContain(token.slice(0, 20)));
  });

  it('clocks may differ by the tolerance and no more', async () => {
    const { verify } = createTokenVerifier(settings());
    await expect(verify(await kit.sign({ exp: now() - 3 }))).resolves.toMatchObject({ subject: 'ada' });
  });

  it('a changed, unsigned or secret-signed token is refused', async () => {
    const { verify } = createTokenVerifier(settings());
    const [head, , signature] = (await kit.sign()).split('.');
    const body = Buffer.from(JSON.stringify({ sub: 'eve', iss: ISSUER, aud: AUDIENCE, exp: now() + 60 })).toString(
      'base64url',
    );
    await expect(verify(`${head}.${body}.${signature}`)).rejects.toMatchObject({
      message: "The token's signature is not valid.",
    });
    const unsigned = new UnsecuredJWT({ sub: 'eve' })
      .setIssuer(ISSUER)
      .setAudience(AUDIENCE)
      .setExpirationTime('1h')
      .encode();
    await expect(verify(unsigned)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    const secret = await new SignJWT({ sub: 'eve', iss: ISSUER, aud: AUDIENCE, exp: now() + 60 })
      .setProtectedHeader({ alg: 'HS256', kid: 'k1' })
      .sign(Buffer.from('a secret of thirty-two bytes or so'));
    await expect(verify(secret)).rejects.toMatchObject({
      message: 'The token is signed in a way that is not allowed here.',
    });
    await expect(verify('x'.repeat(9000))).rejects.toMatchObject({
      message: expect.stringMatching(/9000 characters; at most 8192/),
    });
  });
});

describe('keys', () => {
  it('a new key is found when a token names it, and tokens of the old one end', async () => {
    const own = await createTokenKit();
    const verifier = createTokenVerifier({ ...settings(), jwks: own.jwksPath }, { maxAgeMs: 60_000, cooldownMs: 20 });
    const before = await own.sign();
    await verifier.verify(before);
    await own.rotate('k2');
    await sleep(30);
    await expect(verifier.verify(await own.sign())).resolves.toMatchObject({ subject: 'ada' });
    await expect(verifier.verify(before)).rejects.toMatchObject({
      message: expect.stringMatching(/key that is not known/),
    });
    own.remove();
  });

  it('a URL is asked once, however many tokens name unknown keys, and old keys serve while it is away', async () => {
    const own = await createTokenKit();
    const keys = (await import('node:fs')).readFileSync(own.jwksPath, 'utf8');
    let asked = 0;
    let status = 200;
    const server = createServer((_request, response) => {
      asked += 1;
      response.writeHead(status).end(status === 200 ? keys : 'away');
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const jwks = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`;
    const verifier = createTokenVerifier({ ...settings(), jwks }, { maxAgeMs: 40, cooldownMs: 60_000 });
    const token = await own.sign();
    await Promise.all(Array.from({ length: 20 }, () => verifier.verify(token)));
    const unknown = await own.sign({}, 'k9');
    for (let i = 0; i < 20; i++) await verifier.verify(unknown).catch(() => undefined);
    expect(asked).toBe(1);
    status = 503;
    await sleep(50);
    await expect(verifier.verify(token)).resolves.toMatchObject({ subject: 'ada' });
    expect(asked).toBe(2);
    server.closeAllConnections();
    server.close();
    own.remove();
  });

  it.each([
    ['no file', undefined, /no such file/],
    ['no JSON', 'keys!', /no key set/],
    ['no keys', '{"keys":[]}', /no key set with 1 to 256 keys/],
    ['a shared secret', '{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}', /symmetric key; only public keys/],
    ['a huge file', `{"keys":[],"x":"${'y'.repeat(1 << 20)}"}`, /at most 1048576 are read/],
  ])('%s is CONFIG_INVALID at the start', async (_what, content, text) => {
    const own = await createTokenKit();
    const jwks = content === undefined ? `${own.jwksPath}.gone` : own.jwksPath;
    if (content !== undefined) writeFileSync(jwks, content);
    const asserted = createTokenVerifier({ ...settings(), jwks }).assertKeys();
    await expect(asserted).rejects.toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringMatching(text) });
    own.remove();
  });

  it('keys over plain http from elsewhere are refused', () => {
    const open = () => createTokenVerifier({ ...settings(), jwks: 'http://keys.example/jwks' });
    expect(open).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringMatching(/over https alone/) }),
    );
  });
});

describe('a damaged key set', () => {
  const verifierOf = async (keys: unknown[]) => {
    const folder = scratchFolder('keys');
    const jwks = join(folder, 'jwks.json');
    writeFileSync(jwks, JSON.stringify({ keys }));
    return createTokenVerifier({ ...settings(), jwks });
  };
  const soundKey = () => JSON.parse(readFileSync(kit.jwksPath, 'utf8')).keys[0] as Record<string, string>;

  it('with a point off its curve refuses the token: the caller is not told of an internal error', async () => {
    const key = soundKey();
    const verifier = await verifierOf([{ ...key, x: key.y, y: key.x }]);
    await expect(verifier.verify(await kit.sign({}, key.kid))).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
      message: expect.stringContaining('the key set is damaged'),
    });
  });

  it('with a list among its keys is no key set', async () => {
    const verifier = await verifierOf([[soundKey()]]);
    await expect(verifier.assertKeys()).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('something that is no key'),
    });
  });
});
