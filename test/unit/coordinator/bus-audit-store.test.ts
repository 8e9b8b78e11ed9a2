import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AuditEvent } from '../../../services/coordinator/audit/audit-event.js';
import type { AuditRecord } from '../../../services/coordinator/audit/audit-record.js';
import type { AuditSpec } from '../../../services/coordinator/audit/audit-spec.js';
import { EventWriter } from '../../../services/coordinator/audit/event-writer.js';
import { BusAuditStore } from '../../../services/coordinator/store/bus-audit-store.js';
import type { Bus } from '../../../shared/bus/bus.js';
import { createLocalBus } from '../../../shared/bus/local/create-local-bus.js';
import { MAX_MESSAGE_BYTES } from '../../../shared/bus/message-limits.js';

const TERM_MS = 300;
const ID = 'a1';
const record: AuditRecord = {
  id: ID,
  title: '',
  requestId: '',
  specSha256: '',
  state: 'running',
  stage: '',
  createdAt: '2026-01-01T00:00:00.000Z',
  updatedAt: '2026-01-01T00:00:00.000Z',
  error: '',
  evaluations: 0,
  evaluationsReused: 0,
  seconds: 0,
  resumed: 0,
  finishedStages: [],
};
const spec = { title: 'small' } as AuditSpec;

let bus: Bus;
let one: BusAuditStore;
let two: BusAuditStore;
beforeEach(async () => {
  bus = createLocalBus();
  one = await BusAuditStore.open(bus, { holder: 'one', termMs: TERM_MS });
  two = await BusAuditStore.open(bus, { holder: 'two', termMs: TERM_MS });
  await one.create(record, spec);
});
afterEach(() => bus.close());

describe('audits on the bus', () => {
  it('another coordinator reads what one has written', async () => {
    const lease = await one.acquireLease(ID);
    await one.writeRecord({ ...record, stage: 'filter' });
    await one.writeResult(ID, 'filter/3f2a', { result: [1, 2] });
    await one.writeReport(ID, '{}\n');
    expect(await two.readRecord(ID)).toMatchObject({ stage: 'filter' });
    expect(await two.readSpec(ID)).toEqual(spec);
    expect(await two.readResult(ID, 'filter/3f2a')).toEqual({ result: [1, 2] });
    expect(await two.readResult(ID, 'filter')).toBeUndefined();
    expect(await two.readReport(ID)).toBe('{}\n');
    expect((await two.list()).map(({ id }) => id)).toEqual([ID]);
    await lease?.release();
  });

  it('every kind of event comes back as it went', async () => {
    const time = '2026-01-01T00:00:00.000Z';
    const counts = { done: 1, total: 2, evaluations: 3, evaluationsReused: 1 };
    const events: AuditEvent[] = [
      { kind: 'stage-started', stage: 'filter', number: 7, stages: 11, sequence: 1, time },
      { kind: 'progress', stage: 'filter', ...counts, detail: 'x', sequence: 2, time },
      { kind: 'prompt-filtered', promptId: 'p', outcome: 'no flip', setSize: 0, evaluations: 9, sequence: 3, time },
      { kind: 'stage-finished', stage: 'filter', seconds: 1.5, evaluations: 9, summary: 's', sequence: 4, time },
      { kind: 'warning', code: 'C', text: 't', sequence: 5, time },
      { kind: 'ended', state: 'failed', error: 'BUSY: full', sequence: 6, time },
    ];
    for (const event of events) await one.appendEvent(ID, event);
    expect(await two.readEvents(ID, 0)).toEqual(events);
    expect((await two.readEvents(ID, 4)).map(({ sequence }) => sequence)).toEqual([5, 6]);
  });

  it('a value larger than a message goes in parts, and a lost part is told', async () => {
    const lease = await one.acquireLease(ID);
    const large = { text: 'x'.repeat(2 * MAX_MESSAGE_BYTES) };
    await one.writeResult(ID, 'directions', large);
    expect(await two.readResult(ID, 'directions')).toEqual(large);
    const values = await bus.checkpoints('audits');
    await values.delete((await values.list(`parts/result/${ID}`))[1] as string);
    await expect(two.readResult(ID, 'directions')).rejects.toMatchObject({
      code: 'CHECKPOINT_CORRUPT',
      message: expect.stringContaining('part 2 of 3 is gone'),
    });
    await lease?.release();
  });

  it('evaluations keep their order over pieces and holders', async () => {
    const scoped = (name: string) => [{ scope: name, record: Uint8Array.of(1) }];
    const first = await one.acquireLease(ID);
    for (let i = 0; i < 12; i++) await one.appendEvaluations(ID, scoped(`one ${i}`));
    await first?.release();
    const second = await two.acquireLease(ID);
    await two.appendEvaluations(ID, scoped('two'));
    const scopes = (await one.readEvaluations(ID)).map(({ scope }) => scope);
    expect(scopes).toEqual([...Array.from({ length: 12 }, (_, i) => `one ${i}`), 'two']);
    await second?.release();
  });

  it('one holds the lease; once another has it, what the first one writes is refused', async () => {
    const first = await one.acquireLease(ID);
    expect(first).toBeDefined();
    expect(await two.isLeased(ID)).toBe(true);
    expect(await two.acquireLease(ID)).toBeUndefined();
    expect(await one.acquireLease(ID)).toBeUndefined();
    await first?.release();
    const second = await two.acquireLease(ID);
    expect(second).toBeDefined();
    await expect(one.writeRecord(record)).rejects.toMatchObject({ code: 'INTERNAL' });
    await second?.release();
  });

  it('a holder that lost its lease without knowing is refused by its fence', async () => {
    const first = await one.acquireLease(ID);
    // As another coordinator does once the lease has stood still for a term.
    await (await bus.checkpoints('audits')).put(`lease/${ID}/fence`, Buffer.from('two'));
    await expect(one.writeRecord(record)).rejects.toMatchObject({ code: 'REVISION_CONFLICT' });
    await expect(one.appendEvaluations(ID, [])).rejects.toMatchObject({ code: 'REVISION_CONFLICT' });
    await first?.release();
  });

  it('the holder numbers on after an event that its predecessor stored late; who lost the lease does not', async () => {
    const lease = await one.acquireLease(ID);
    const [ours, theirs] = [
      await EventWriter.open(one, ID, () => undefined),
      await EventWriter.open(two, ID, () => undefined),
    ];
    await two.appendEvent(ID, { kind: 'warning', code: 'LATE', text: '', sequence: 1, time: record.createdAt });
    ours.emit({ kind: 'warning', code: 'OURS', text: '' });
    await ours.flush();
    theirs.emit({ kind: 'warning', code: 'THEIRS', text: '' });
    await expect(theirs.flush()).rejects.toMatchObject({ code: 'REVISION_CONFLICT' });
    const events = await one.readEvents(ID, 0);
    expect(events.map((event) => [event.sequence, event.kind === 'warning' && event.code])).toEqual([
      [1, 'LATE'],
      [2, 'OURS'],
    ]);
    await lease?.release();
  });

  it('an id that could widen a subject is no audit', async () => {
    await expect(one.readRecord('a.>')).rejects.toMatchObject({
      code: 'AUDIT_UNKNOWN',
      message: 'No audit has the id "a.>".',
    });
  });
});
