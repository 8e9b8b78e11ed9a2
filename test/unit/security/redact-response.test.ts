import { describe, expect, it } from 'vitest';
import { createCoordinatorService } from '../../../services/coordinator/service.js';
import { LOCAL_PRINCIPAL, type Principal } from '../../../shared/security/principal.js';
import { redactResponse } from '../../../shared/security/redact-response.js';

const judgement = { verdict: 1, answerSha256: 'ab', firstWords: 'Sure, here is', answerTokens: 9, rule: 'opening' };

describe('responses for callers without completions', () => {
  it('judgements keep verdict and hash and lose their words, wherever they stand', () => {
    const response = {
      event: { $case: 'result', value: { flips: [{ promptId: 'p', judgement }], deeper: { of: [{ judgement }] } } },
    };
    const redacted = redactResponse('/refusalscope.v1.SearchService/VerifyFlips', response);
    expect(JSON.stringify(redacted)).not.toContain('Sure');
    expect(redacted.event.value.flips[0]).toEqual({ promptId: 'p', judgement: { ...judgement, firstWords: '' } });
  });

  it('bytes and other methods are left as they are', () => {
    const bytes = new Uint8Array([1, 2]);
    const search = { event: { $case: 'evaluation', value: { key: bytes, acted: true } } };
    expect(redactResponse('/refusalscope.v1.SearchService/FilterPrompt', search).event.value.key).toBe(bytes);
    const other = { firstWords: 'kept' };
    expect(redactResponse('/refusalscope.v1.SaeService/Encode', other)).toBe(other);
  });
});

describe('a report', () => {
  const report = {
    prompts: [{ id: 'p', firstWords: 'How do I' }],
    verification: { flips: [{ firstWords: 'Sure, here' }] },
    note: 'x',
  };
  const stored = `${JSON.stringify(report, null, 1)}\n`;
  const service = createCoordinatorService({ report: async () => stored } as never);
  const read = async (principal: Principal | undefined) => {
    const chunks: Uint8Array[] = [];
    const context = { principal, signal: new AbortController().signal };
    for await (const { chunk } of service.getReport({ id: 'a', format: 1 }, context as never))
      chunks.push(chunk as Uint8Array);
    return Buffer.concat(chunks).toString('utf8');
  };

  it('has its first words for those with completions, byte for byte as stored', async () => {
    expect(await read(LOCAL_PRINCIPAL)).toBe(stored);
    expect(await read(undefined)).toBe(stored);
  });

  it('has empty ones for others, and everything else', async () => {
    const text = await read({ subject: 'ada', kind: 'token', scopes: new Set(['read', 'audit', 'intervene']) });
    expect(text).not.toMatch(/How do I|Sure/);
    expect(JSON.parse(text)).toEqual({
      prompts: [{ id: 'p', firstWords: '' }],
      verification: { flips: [{ firstWords: '' }] },
      note: 'x',
    });
  });
});
