import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AuditState } from '../../../proto/gen/refusalscope/v1/coordinator.js';
import { specOf } from './audit-spec-fixture.js';
import { CoordinatorBench, caught, create, reportOf, watchToEnd } from './coordinator-bench.js';

let bench: CoordinatorBench;
beforeEach(async () => {
  bench = await CoordinatorBench.open();
});
afterEach(() => bench.close());

describe('requests', () => {
  it('the same request_id with the same spec gives the same audit, with another spec a fault', async () => {
    const { client } = await bench.start();
    const first = await create(client, specOf(2), 'mine');
    expect(await create(client, specOf(2), 'mine')).toBe(first);
    await watchToEnd(client, first);
    expect(await create(client, specOf(2), 'mine')).toBe(first);
    const thrown = await caught(create(client, specOf(3), 'mine'));
    expect(thrown).toMatchObject({ code: 'REQUEST_INVALID', message: expect.stringContaining(`made audit ${first}`) });
    expect(await readdir(join(bench.folder, 'audits'))).toEqual([first]);
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
    [
      'a stage that cannot be skipped',
      { skipStages: ['filter'] },
      'REQUEST_INVALID',
      'skip_stages holds "filter"; these can be left out: alternatives, family, hydra, sufficiency, cost.',
    ],
    [
      'too large a cap',
      { claims: { familySets: 1025 } },
      'REQUEST_INVALID',
      'claims.family_sets is 1025; at most 1024',
    ],
    ['a level of 1', { claims: { hydraLevel: 1 } }, 'REQUEST_INVALID', 'claims.hydra_level is 1;'],
    ['a negative effect', { claims: { hydraMinEffect: -1 } }, 'REQUEST_INVALID', 'claims.hydra_min_effect is -1;'],
    [
      'over-refusal of named prompts',
      { overRefusal: true, searchPromptIds: ['b0'] },
      'REQUEST_INVALID',
      'search_prompt_ids must be empty',
    ],
    ['an empty range', { positions: { span: 4, start: 5, end: 5 } }, 'REQUEST_INVALID', 'holds no position'],
  ];
  it.each(invalid)('%s is refused at once', async (_name, changes, code, text) => {
    const { client } = await bench.start();
    const thrown = await caught(create(client, specOf(2, changes)));
    expect(thrown).toMatchObject({ code, message: expect.stringContaining(text) });
    expect((await client.listAudits({})).audits).toEqual([]);
  });

  it('an empty prompt is PROMPT_EMPTY with its id', async () => {
    const { client } = await bench.start();
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
    const { client } = await bench.start();
    const id = await create(client, specOf(2, changes));
    await watchToEnd(client, id);
    expect((await client.getAudit({ id })).audit).toMatchObject({
      state: AuditState.AUDIT_STATE_FAILED,
      stage: 'describe',
      error,
    });
  });

  it('a model that refuses nothing is AUDIT_IMPOSSIBLE, with the count', async () => {
    bench.peers.script.refuses = () => false;
    const { client } = await bench.start();
    const id = await create(client, specOf(2));
    await watchToEnd(client, id);
    expect((await client.getAudit({ id })).audit?.error).toBe(
      'AUDIT_IMPOSSIBLE: The model refuses 0 of 2 harmful prompts of this set: there is no refusal to explain.',
    );
  });

  it('a model without false refusals is AUDIT_IMPOSSIBLE for over-refusal, with the count', async () => {
    const { client } = await bench.start();
    const id = await create(client, specOf(2, { overRefusal: true }));
    await watchToEnd(client, id);
    expect((await client.getAudit({ id })).audit?.error).toBe(
      'AUDIT_IMPOSSIBLE: The model refuses 0 of 2 harmless prompts of this set: there is no false refusal to explain.',
    );
  });

  it.each(['nope', '../../etc', ''])('no audit has the id %j', async (id) => {
    const { client } = await bench.start();
    expect((await caught(client.getAudit({ id }))).code).toBe('AUDIT_UNKNOWN');
    expect((await caught(client.resumeAudit({ id }))).code).toBe('AUDIT_UNKNOWN');
  });

  it('a report before the end, and a resume after success, are AUDIT_STATE', async () => {
    bench.peers.script.delayMs = 20;
    const { client } = await bench.start();
    const id = await create(client, specOf(2));
    expect(await caught(reportOf(client, id))).toMatchObject({
      code: 'AUDIT_STATE',
      message: `Audit ${id} is running: it has no report yet.`,
    });
    bench.peers.script.delayMs = 0;
    await watchToEnd(client, id);
    expect(await caught(client.resumeAudit({ id }))).toMatchObject({
      code: 'AUDIT_STATE',
      message: `Audit ${id} has succeeded: there is nothing to resume.`,
    });
  });

  it('lists newest first, in pages', async () => {
    const { client } = await bench.start();
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
    const { client } = await bench.start();
    const before = await create(client, specOf(2));
    await watchToEnd(client, before);
    const after = await create(client, specOf(2, { searchPromptIds: ['h1'] }));
    await watchToEnd(client, after);
    const { comparisonJson } = await client.compareAudits({ beforeId: before, afterId: after });
    expect(JSON.parse(comparisonJson)).toMatchObject({
      schema: 'refusalscope.comparison/1',
      samePromptSet: true,
      minimalSetsFound: { before: { count: 2, of: 2 }, after: { count: 1, of: 1 } },
      depthOfDefence: { before: { min: 2, max: 2 }, after: { min: 2, max: 2 } },
      features: { gained: [], lost: [], kept: ['1/0', '1/1'], layersWithSameSae: [1, 2, 3] },
      directionCosines: [1, 2, 3, 4].map((layer) => ({ layer, cosine: 1 })),
    });
  });
});
