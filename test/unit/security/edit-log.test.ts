import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { silentLogger } from '../../../shared/log/create-logger.js';
import { openAuditLog } from '../../../shared/security/audit-log.js';
import { describeEdit } from '../../../shared/security/describe-edit.js';
import { createEditLog } from '../../../shared/security/edit-log.js';
import { silentMetrics } from '../../../shared/telemetry/metrics.js';

const folder = mkdtempSync(join(tmpdir(), 'refusalscope-edit-log-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const EVALUATE = '/refusalscope.v1.InferenceService/EvaluateMasks';
const prompt = { id: 'p1', input: { $case: 'text', value: 'a word: xylophone' } };
const layer = { layer: 4, names: ['4/1', '4/2'], positions: { span: 2, start: 0, end: 0, includeBos: false } };
const bank = { bank: { $case: 'inline', value: { layers: [layer, { ...layer, layer: 9 }] } } };
const request = { model: 'm', prompts: [prompt], bank, evaluations: [{}, {}, {}] };

describe('what is written of a request', () => {
  it('says model, layers, edits, positions, counts and digests, and no word of a prompt', () => {
    const facts = describeEdit(EVALUATE, request);
    expect(facts).toMatchObject({ model: 'm', layers: [4, 9], edits: 4, positions: ['instruction'], evaluations: 3 });
    expect(JSON.stringify(facts)).not.toMatch(/xylophone|word/);
  });

  it('the same edits have the same digest, others another', () => {
    const digest = (value: object) =>
      (describeEdit(EVALUATE, { ...request, bank: { bank: value } }) as { bankSha256?: string }).bankSha256;
    const [one, two] = [digest(bank.bank), digest(structuredClone(bank.bank))];
    expect(one).toBe(two);
    expect(digest({ $case: 'inline', value: { layers: [{ ...layer, layer: 5 }] } })).not.toBe(one);
  });

  it('a bank by digest is named by it; token ids are hashed as the text is', () => {
    const byDigest = { ...request, bank: { bank: { $case: 'digest', value: 'abc' } } };
    expect(describeEdit(EVALUATE, byDigest)).toMatchObject({ engineBankDigest: 'abc' });
    const tokens = { id: 'p', input: { $case: 'tokenIds', value: { ids: [1, 2] } } };
    // printf '[1,2]' | sha256sum
    expect(describeEdit(EVALUATE, { ...request, prompts: [tokens] })).toMatchObject({
      promptSha256: ['49a64717d5d4cb19952e6eac2946415cf6879adacf9908e7d872332d32c6e684'],
    });
  });

  it('audits, stages and cancellations are written too; what only reads is not', () => {
    const spec = { model: 'm', prompts: [{ prompt, label: 1 }] };
    expect(describeEdit('/refusalscope.v1.CoordinatorService/CreateAudit', { spec })).toMatchObject({
      model: 'm',
      promptSha256: [expect.any(String)],
    });
    expect(describeEdit('/refusalscope.v1.CoordinatorService/CancelAudit', { id: 'a1' })).toEqual({ audit: 'a1' });
    expect(describeEdit('/refusalscope.v1.SearchService/FilterPrompt', { model: 'm', prompt })).toMatchObject({
      model: 'm',
    });
    expect(
      describeEdit('/refusalscope.v1.InferenceService/Tokenize', { model: 'm', prompts: [prompt] }),
    ).toBeUndefined();
    expect(describeEdit(EVALUATE, { ...request, bank: undefined })).toBeUndefined();
  });
});

describe('an edit that comes by the queue', () => {
  it('has its two lines, with the audit that asked', async () => {
    const path = join(folder, 'queue.jsonl');
    const log = await openAuditLog(path);
    const edits = createEditLog({ log, logger: silentLogger, metrics: silentMetrics });
    const begun = await edits.begin(EVALUATE, request, { requestId: 'w1', subject: 'queue', onBehalfOf: 'audit-7' });
    await begun?.end('OK');
    await log.close();
    const lines = readFileSync(path, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines).toMatchObject([
      { event: 'began', requestId: 'w1', subject: 'queue', onBehalfOf: 'audit-7', model: 'm' },
      { event: 'ended', requestId: 'w1', outcome: 'OK' },
    ]);
  });
});
