/** Records that a fuzzer damaged: each is told as such, and none takes others along. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseReport } from '../../../services/coordinator/report/parse-report.js';
import { FileAuditStore } from '../../../services/coordinator/store/file-audit-store.js';
import { decodeDeadLetter, decodeOutcome } from '../../../shared/bus/work-messages.js';
import { sampleReport } from '../console/sample-report.js';

const RECORD = {
  id: 'sound',
  title: '',
  requestId: '',
  specSha256: 'ab',
  state: 'succeeded',
  stage: '',
  createdAt: '2026-11-20T09:12:44.000Z',
  updatedAt: '2026-11-20T09:12:44.000Z',
  error: '',
  evaluations: 1,
  evaluationsReused: 0,
  seconds: 1,
  resumed: 0,
  finishedStages: [],
};

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'refusalscope-test-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const write = (id: string, name: string, text: string): void => {
  mkdirSync(join(folder, id), { recursive: true });
  writeFileSync(join(folder, id, name), text);
};

describe('audits on disk', () => {
  it.each(['null', '[]', '{}', JSON.stringify({ ...RECORD, createdAt: 5 }), JSON.stringify({ ...RECORD, state: 'x' })])(
    'state.json of %s is CHECKPOINT_CORRUPT, and the list has the other audits',
    async (text) => {
      write('sound', 'state.json', JSON.stringify(RECORD));
      write('damaged', 'state.json', text);
      const store = new FileAuditStore(folder);
      await expect(store.readRecord('damaged')).rejects.toMatchObject({ code: 'CHECKPOINT_CORRUPT' });
      expect((await store.list()).map(({ id }) => id)).toEqual(['sound']);
    },
  );

  it('lines of events.jsonl that are JSON and no event are passed over', async () => {
    const event = { sequence: 2, time: RECORD.createdAt, kind: 'ended', state: 'failed', error: '' };
    write('sound', 'events.jsonl', `null\n5\n{}\n${JSON.stringify(event)}\n`);
    expect(await new FileAuditStore(folder).readEvents('sound', 0)).toEqual([event]);
  });
});

describe('report.json', () => {
  const text = JSON.stringify(sampleReport());

  it('is read back whole (control)', () => {
    expect(parseReport(text)).toEqual(JSON.parse(text));
  });

  it.each([
    ['cut short', text.slice(0, 200), /it is not JSON/],
    ['null', 'null', /the whole/],
    ['without its summary', JSON.stringify({ ...JSON.parse(text), summary: undefined }), /summary/],
  ])('%s is CHECKPOINT_CORRUPT and says where', (_name, damaged, message) => {
    expect(() => parseReport(damaged)).toThrow(
      expect.objectContaining({ code: 'CHECKPOINT_CORRUPT', message: expect.stringMatching(message) }),
    );
  });
});

describe('messages of the bus that are no messages', () => {
  const noise = Buffer.of(0xff, 0xff, 0xff);

  it('an outcome counts as a failed one, so that nobody waits for it forever', () => {
    expect(decodeOutcome(noise, 3)).toMatchObject({ kind: 'failed', sequence: 3, failure: { code: 'INTERNAL' } });
  });

  it('a dead letter stays in the list', () => {
    expect(decodeDeadLetter(noise)).toMatchObject({ workId: '', failure: { code: 'CHECKPOINT_CORRUPT' } });
  });
});
