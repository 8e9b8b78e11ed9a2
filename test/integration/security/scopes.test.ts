import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Metadata } from 'nice-grpc';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { verifyAuditLog } from '../../../shared/security/verify-audit-log.js';
import { bank, bearer, type Closing, dialAs, drain, evaluation, startGuarded } from './guarded-server.js';
import { AUDIENCE, createTokenKit, ISSUER, type TokenKit } from './token-kit.js';

let kit: TokenKit;
const folder = mkdtempSync(join(tmpdir(), 'refusalscope-scopes-'));
beforeAll(async () => {
  kit = await createTokenKit();
});
afterAll(() => {
  kit.remove();
  rmSync(folder, { recursive: true, force: true });
});
const closing: Closing = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const guard = () => ({
  REFUSALSCOPE_JWKS: kit.jwksPath,
  REFUSALSCOPE_JWT_ISSUER: ISSUER,
  REFUSALSCOPE_JWT_AUDIENCE: AUDIENCE,
});
const open = async (extra: Record<string, string> = {}) => {
  const guarded = await startGuarded({ ...guard(), ...extra }, closing);
  const { client } = await dialAs(guarded.server.address, {}, closing);
  return { ...guarded, client };
};

describe('calls with tokens', () => {
  it('without a token nothing runs, on loopback too', async () => {
    const { client, seen } = await open();
    await expect(client.describeModel({})).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
      message: 'The call says nothing of who makes it: send a bearer token in "authorization".',
    });
    await expect(
      client.describeModel({}, { metadata: Metadata({ authorization: 'Basic YTpi' }) }),
    ).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
    });
    expect(seen).toEqual([]);
  });

  it('each scope opens its calls and no others', async () => {
    const { client, seen } = await open();
    const reader = bearer(await kit.sign({ scope: 'read' }));
    await client.describeModel({}, reader);
    await expect(drain(client.evaluateMasks({ ...evaluation, bank }, reader))).rejects.toMatchObject({
      code: 'FORBIDDEN',
      message: '/refusalscope.v1.InferenceService/EvaluateMasks needs the scope intervene here; the caller has read.',
    });
    expect(seen).toEqual(['describeModel']);
    await drain(client.evaluateMasks(evaluation, reader));
    await drain(client.evaluateMasks({ ...evaluation, bank }, bearer(await kit.sign({ scope: 'read intervene' }))));
    expect(seen).toEqual(['describeModel', 'evaluateMasks', 'evaluateMasks']);
    await expect(client.describeModel({}, bearer(await kit.sign({ scope: 'completions' })))).rejects.toMatchObject({
      message: expect.stringMatching(/needs the scope read here; the caller has completions/),
    });
  });

  it('the text of an answer is for the scope completions; others get its end and no words', async () => {
    const { client } = await open();
    const generate = { prompts: [], maxNewTokens: 1 };
    const [redacted] = await drain(client.generate(generate, bearer(await kit.sign({ scope: 'read' }))));
    expect(redacted).toMatchObject({ text: '', tokenId: 0, finishReason: 1 });
    const [full] = await drain(client.generate(generate, bearer(await kit.sign({ scope: 'read completions' }))));
    expect(full).toMatchObject({ text: 'wondrous', tokenId: 77, finishReason: 1 });
  });

  it('a process sends the token of its file, and the new one once the file has changed', async () => {
    const { server, seen } = await startGuarded(guard(), closing);
    const tokenFile = join(folder, 'token');
    writeFileSync(tokenFile, `${await kit.sign()}\n`);
    const { client } = await dialAs(server.address, { REFUSALSCOPE_TOKEN_FILE: tokenFile }, closing);
    await client.describeModel({});
    expect(seen).toEqual(['describeModel']);
    writeFileSync(tokenFile, 'two words');
    const { client: other } = await dialAs(server.address, { REFUSALSCOPE_TOKEN_FILE: tokenFile }, closing);
    await expect(other.describeModel({})).rejects.toMatchObject({
      message: expect.stringMatching(/must hold one token/),
    });
  });

  it('health needs no token, and no line of the log holds one', async () => {
    const { client, lines } = await open();
    const token = await kit.sign({ scope: 'read' });
    await client.describeModel({}, bearer(token));
    await client.describeModel({}, bearer(`${token}x`)).catch(() => undefined);
    await drain(client.evaluateMasks({ ...evaluation, bank }, bearer(token))).catch(() => undefined);
    expect(lines.length).toBeGreaterThan(3);
    for (const part of token.split('.')) expect(lines.join('')).not.toContain(part);
    expect(lines.join('')).toContain('call refused');
  });
});

describe('the audit log of calls', () => {
  const prompts = [{ id: 'p', input: { $case: 'text' as const, value: 'a planted secret word: xylophone' } }];

  it('says who edited what with which bank and prompts, and never the text', async () => {
    const logs = join(folder, 'logs');
    const { client } = await open({ REFUSALSCOPE_AUDIT_LOG_DIR: logs });
    const token = bearer(await kit.sign({ scope: 'read intervene', sub: 'ada' }));
    await client.describeModel({}, token);
    await drain(client.evaluateMasks({ ...evaluation, model: 'm', prompts, bank }, token));
    const text = readFileSync(join(logs, 'inference.jsonl'), 'utf8');
    const [began, ended, ...more] = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(more).toEqual([]);
    expect(began).toMatchObject({
      sequence: 1,
      event: 'began',
      subject: 'ada',
      method: 'refusalscope.v1.InferenceService/EvaluateMasks',
      model: 'm',
      layers: [3],
      edits: 1,
      positions: ['all'],
      // printf 'a planted secret word: xylophone' | sha256sum
      promptSha256: ['37dcdf9168b5ffd96319192d150ccf8a4f7b314595b2aecc27fc570321cd3f92'],
    });
    expect(began.bankSha256).toMatch(/^[0-9a-f]{64}$/);
    expect(ended).toMatchObject({ event: 'ended', requestId: began.requestId, outcome: 'OK', engineBankDigest: 'd1' });
    expect(text).not.toMatch(/xylophone|planted/);
    expect(await verifyAuditLog(join(logs, 'inference.jsonl'))).toMatchObject({ sound: true, lines: 2 });
  });

  it('an edit whose line cannot be written does not run', async () => {
    const { client, seen, edge } = await open({ REFUSALSCOPE_AUDIT_LOG_DIR: join(folder, 'closed') });
    await edge.close();
    const token = bearer(await kit.sign({ scope: 'read intervene' }));
    await expect(drain(client.evaluateMasks({ ...evaluation, bank }, token))).rejects.toMatchObject({
      code: 'STARTING',
      message: expect.stringMatching(/audit log cannot be written, so nothing is edited/),
    });
    expect(seen).toEqual([]);
    await client.describeModel({}, token);
  });
});
