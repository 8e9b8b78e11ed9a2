/** What both engines promise of audit events. */
import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Bus } from '../../../../shared/bus/bus.js';
import { bytes, createKit, type OpenBus, refusal, text } from './kit.js';

export const describeEventLog = (engine: string, openBus: OpenBus): void => {
  describe(`audit events, ${engine}`, () => {
    const { newBus } = createKit(openBus);
    const audit = (): string => `audit-${randomUUID()}`;
    const readAll = async (bus: Bus, auditId: string, afterSequence = 0): Promise<string[]> => {
      const found: string[] = [];
      for await (const { sequence, event } of bus.events.read(auditId, { afterSequence })) {
        found.push(`${sequence} ${text(event)}`);
      }
      return found;
    };

    it('replays events in order from any sequence, and keeps audits apart', async () => {
      const bus = await newBus();
      const [one, other] = [audit(), audit()];
      for (let i = 1; i <= 300; i++) await bus.events.append(one, i, bytes(`event ${i}`));
      await bus.events.append(other, 1, bytes('other'));
      const all = await readAll(bus, one);
      expect(all).toEqual(Array.from({ length: 300 }, (_, i) => `${i + 1} event ${i + 1}`));
      expect(await readAll(bus, one, 298)).toEqual(['299 event 299', '300 event 300']);
      expect(await readAll(bus, other)).toEqual(['1 other']);
      expect(await readAll(bus, audit())).toEqual([]);
    });

    it('follows live without a gap or a double, and ends when the reader stops', async () => {
      const bus = await newBus();
      const auditId = audit();
      const stop = new AbortController();
      await bus.events.append(auditId, 1, bytes('1'));
      const seen: number[] = [];
      const following = (async () => {
        for await (const { sequence } of bus.events.read(auditId, { follow: true, signal: stop.signal })) {
          seen.push(sequence);
          if (sequence === 40) stop.abort();
        }
      })();
      for (let i = 2; i <= 40; i++) await bus.events.append(auditId, i, bytes(`${i}`));
      await following;
      expect(seen).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
    });

    it('takes the same event twice as one, and refuses a gap or another writer', async () => {
      const bus = await newBus();
      const auditId = audit();
      await bus.events.append(auditId, 1, bytes('first'));
      await bus.events.append(auditId, 1, bytes('first'));
      await expect(bus.events.append(auditId, 1, bytes('another'))).rejects.toEqual(
        refusal('REVISION_CONFLICT', /Event 1 of audit .* was refused: the last one stored is 1/),
      );
      await expect(bus.events.append(auditId, 3, bytes('third'))).rejects.toEqual(
        refusal('REVISION_CONFLICT', /Event 3 .* the last one stored is 1/),
      );
      expect(await readAll(bus, auditId)).toEqual(['1 first']);
    });

    it('forgets an audit that is removed', async () => {
      const bus = await newBus();
      const auditId = audit();
      await bus.events.append(auditId, 1, bytes('first'));
      await bus.events.remove(auditId);
      expect(await readAll(bus, auditId)).toEqual([]);
      await bus.events.append(auditId, 1, bytes('anew'));
      expect(await readAll(bus, auditId)).toEqual(['1 anew']);
    });
  });
};
