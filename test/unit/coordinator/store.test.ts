import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AuditRecord } from '../../../services/coordinator/audit/audit-record.js';
import type { AuditSpec } from '../../../services/coordinator/audit/audit-spec.js';
import {
  decodeLog,
  encodeFrame,
  readEvaluationLog,
  repairEvaluationLog,
} from '../../../services/coordinator/store/evaluation-log.js';
import { FileAuditStore } from '../../../services/coordinator/store/file-audit-store.js';
import { acquireProcessLease, isLeaseHeld } from '../../../services/coordinator/store/process-lease.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'refusalscope-test-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const frames = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ scope: `prompt:p${i}`, record: Uint8Array.from([i, i + 1, i + 2]) }));

describe('the log of evaluations', () => {
  it('gives back what was written, in order', () => {
    const written = frames(5);
    const { evaluations } = decodeLog(Buffer.concat(written.map(encodeFrame)));
    expect(evaluations.map(({ scope, record }) => [scope, [...record]])).toEqual(
      written.map(({ scope, record }) => [scope, [...record]]),
    );
  });

  it('cut at any byte, it gives the whole frames before the cut and nothing else', () => {
    const encoded = frames(4).map(encodeFrame);
    const all = Buffer.concat(encoded);
    const ends = encoded.map((_, i) => Buffer.concat(encoded.slice(0, i + 1)).length);
    for (let cut = 0; cut <= all.length; cut++) {
      const { evaluations, soundBytes } = decodeLog(all.subarray(0, cut));
      const whole = ends.filter((end) => end <= cut);
      expect(evaluations.length).toBe(whole.length);
      expect(soundBytes).toBe(whole.at(-1) ?? 0);
    }
  });

  it('one changed byte is never read as another record', () => {
    const all = Buffer.concat(frames(3).map(encodeFrame));
    const sound = decodeLog(all).evaluations.map(({ scope, record }) => scope + [...record]);
    fc.assert(
      fc.property(fc.nat(all.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const damaged = Buffer.from(all);
        damaged[at] = (damaged[at] as number) ^ flip;
        const read = decodeLog(damaged).evaluations.map(({ scope, record }) => scope + [...record]);
        expect(sound.slice(0, read.length)).toEqual(read);
      }),
    );
  });

  it('after a repair, what is appended next is found', async () => {
    const path = join(folder, 'log');
    const [first, second] = frames(2).map(encodeFrame) as [Buffer, Buffer];
    await writeFile(path, Buffer.concat([first, second.subarray(0, 7)]));
    await repairEvaluationLog(path);
    await writeFile(path, second, { flag: 'a' });
    expect((await readEvaluationLog(path)).map(({ scope }) => scope)).toEqual(['prompt:p0', 'prompt:p1']);
  });

  it('a log that is not there is empty', async () => {
    expect(await readEvaluationLog(join(folder, 'none'))).toEqual([]);
  });
});

describe('leases', () => {
  it('one holder at a time, free again after release', async () => {
    const path = join(folder, 'lease');
    const lease = await acquireProcessLease(path);
    expect(await isLeaseHeld(path)).toBe(true);
    expect(await acquireProcessLease(path)).toBeUndefined();
    await lease?.release();
    expect(await isLeaseHeld(path)).toBe(false);
    expect(await acquireProcessLease(path)).toBeDefined();
  });

  const stale: [string, string][] = [
    ['a process that is gone', JSON.stringify({ token: 'x', pid: 2 ** 22 + 1, host: hostname(), startedAt: '1' })],
    [
      'a process id that was given to another program',
      JSON.stringify({ token: 'x', pid: process.pid, host: hostname(), startedAt: '1' }),
    ],
    ['a file cut by a crash', '{"token":'],
  ];
  it.each(stale)('of %s is taken over', async (_name, text) => {
    const path = join(folder, 'lease');
    await writeFile(path, text);
    expect(await isLeaseHeld(path)).toBe(false);
    expect(await acquireProcessLease(path)).toBeDefined();
  });

  it('of another machine is respected', async () => {
    const path = join(folder, 'lease');
    await writeFile(path, JSON.stringify({ token: 'x', pid: 1, host: 'elsewhere.invalid', startedAt: '1' }));
    expect(await acquireProcessLease(path)).toBeUndefined();
  });

  it('of ten that try at once, one gets it', async () => {
    const path = join(folder, 'lease');
    const got = await Promise.all(Array.from({ length: 10 }, () => acquireProcessLease(path)));
    expect(got.filter((lease) => lease !== undefined).length).toBe(1);
  });
});

describe('the folder of audits', () => {
  const record = { id: 'a1', state: 'running', createdAt: '2026-01-01T00:00:00Z' } as AuditRecord;
  const spec = { model: 'm' } as AuditSpec;

  it('keeps files private and leaves no drafts', async () => {
    const store = new FileAuditStore(folder);
    await store.create(record, spec);
    await store.writeResult('a1', 'filter/abc', { x: 1 });
    expect(await store.readResult('a1', 'filter/abc')).toEqual({ x: 1 });
    expect(await store.readResult('a1', 'filter/none')).toBeUndefined();
    expect((await stat(join(folder, 'a1', 'spec.json'))).mode & 0o077).toBe(0);
    expect((await readdir(join(folder, 'a1'))).filter((name) => name.includes('tmp'))).toEqual([]);
  });

  it.each(['../x', 'a/../../x', 'A B', '.', ''])('takes %j for no id', async (id) => {
    await expect(new FileAuditStore(folder).readRecord(id)).rejects.toMatchObject({ code: 'AUDIT_UNKNOWN' });
  });

  it('damaged state is CHECKPOINT_CORRUPT and names the file', async () => {
    await mkdir(join(folder, 'a1'));
    await writeFile(join(folder, 'a1', 'state.json'), '{"id": "a');
    await expect(new FileAuditStore(folder).readRecord('a1')).rejects.toMatchObject({
      code: 'CHECKPOINT_CORRUPT',
      message: expect.stringContaining(join('a1', 'state.json is not JSON')),
    });
    expect(await new FileAuditStore(folder).list()).toEqual([]);
  });

  it('a cut last event is dropped, and gone once the lease is taken', async () => {
    const store = new FileAuditStore(folder);
    await store.create(record, spec);
    const event = { sequence: 1, time: 't', kind: 'warning', code: 'A', text: 'b' } as const;
    await store.appendEvent('a1', event);
    await writeFile(join(folder, 'a1', 'events.jsonl'), '{"sequence":2,', { flag: 'a' });
    expect(await store.readEvents('a1', 0)).toEqual([event]);
    await store.acquireLease('a1');
    await store.appendEvent('a1', { ...event, sequence: 2 });
    expect((await store.readEvents('a1', 1)).map(({ sequence }) => sequence)).toEqual([2]);
    expect(await readFile(join(folder, 'a1', 'events.jsonl'), 'utf8')).not.toContain('{"sequence":2,{');
  });
});
