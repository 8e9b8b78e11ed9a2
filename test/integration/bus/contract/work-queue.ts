/** What both engines promise of the work queue. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { awaitOutcome } from '../../../../shared/bus/await-outcome.js';
import type { WorkHandler, WorkItem } from '../../../../shared/bus/bus.js';
import { contentId } from '../../../../shared/bus/content-id.js';
import { MAX_MESSAGE_BYTES } from '../../../../shared/bus/message-limits.js';
import { fault } from '../../../../shared/errors/fault.js';
import { bytes, createKit, FAST, finish, type OpenBus, refusal, text, untilEmpty } from './kit.js';

export const describeWorkQueue = (engine: string, openBus: OpenBus): void => {
  describe(`work queue, ${engine}`, () => {
    const { newQueue, consume } = createKit(openBus);
    it('hands an item to a worker and keeps its result for whoever asks for the id, also later', async () => {
      const queue = await newQueue();
      const { id } = await queue.publish({ requester: 'audit-1', payload: bytes('six') });
      const patient = { ...FAST, ackWaitMs: 10_000 };
      await consume(queue, async (item) => bytes(`${text(item.payload)} done`), patient);
      const first = await finish(queue, id);
      const second = await queue.outcome(id);
      expect(first.kind === 'done' && text(first.result)).toBe('six done');
      expect(second?.kind === 'done' && text(second.result)).toBe('six done');
      expect(id).toBe(contentId(bytes('six')));
      await untilEmpty(queue);
    });

    it('gives the handler who asked, the headers and the number of the delivery', async () => {
      const queue = await newQueue();
      const seen: WorkItem[] = [];
      await consume(queue, async (item) => {
        seen.push(item);
        return bytes('');
      });
      const headers = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' };
      const { id } = await queue.publish({ requester: 'audit-7', payload: bytes('x'), headers });
      await finish(queue, id);
      expect(seen).toEqual([
        expect.objectContaining({ id, requester: 'audit-7', headers, delivery: 1, payload: expect.anything() }),
      ]);
    });

    it('hands items out in the order in which they came', async () => {
      const queue = await newQueue();
      const sent = Array.from({ length: 50 }, (_, i) => `item ${i}`);
      for (const one of sent) await queue.publish({ requester: 'a', payload: bytes(one) });
      const seen: string[] = [];
      await consume(queue, async (item) => {
        seen.push(text(item.payload));
        return bytes('');
      });
      await untilEmpty(queue);
      expect(seen).toEqual(sent);
    });

    it('takes equal content in once', async () => {
      const queue = await newQueue();
      const first = await queue.publish({ requester: 'a', payload: bytes('same') });
      const second = await queue.publish({ requester: 'a', payload: bytes('same') });
      const other = await queue.publish({ requester: 'a', payload: bytes('other') });
      let runs = 0;
      await consume(queue, async () => {
        runs++;
        return bytes('');
      });
      await finish(queue, first.id);
      await finish(queue, other.id);
      await untilEmpty(queue);
      expect([first.duplicate, second.duplicate, other.duplicate]).toEqual([false, true, false]);
      expect(second.position).toBe(first.position);
      expect(runs).toBe(2);
    });

    it('brings an item back after a passing fault, no sooner than its backoff says', async () => {
      const queue = await newQueue();
      const at: number[] = [];
      await consume(
        queue,
        async (item) => {
          at.push(performance.now());
          if (item.delivery < 3) throw fault('BUSY', 'not now');
          return bytes(`delivery ${item.delivery}`);
        },
        { ...FAST, backoffMs: [200, 400] },
      );
      const { id } = await queue.publish({ requester: 'a', payload: bytes('x') });
      const outcome = await finish(queue, id);
      expect(outcome.kind === 'done' && text(outcome.result)).toBe('delivery 3');
      expect(at[1]! - at[0]!).toBeGreaterThan(190);
      expect(at[2]! - at[1]!).toBeGreaterThan(390);
    });

    it('ends a bad item at once, as a dead letter with the payload and the reason', async () => {
      const queue = await newQueue();
      let runs = 0;
      const consumption = await consume(queue, async () => {
        runs++;
        throw fault('MASK_WRONG_LENGTH', 'The mask has 3 bits; the bank has 4 edits.');
      });
      const { id } = await queue.publish({ requester: 'audit-3', payload: bytes('poison') });
      const failure = { code: 'MASK_WRONG_LENGTH', text: 'The mask has 3 bits; the bank has 4 edits.', deliveries: 1 };
      expect(await finish(queue, id)).toEqual(expect.objectContaining({ kind: 'failed', failure }));
      await untilEmpty(queue);
      const letters = await queue.deadLetters();
      expect(letters.map((letter) => ({ ...letter, payload: text(letter.payload), time: undefined }))).toEqual([
        { workId: id, requester: 'audit-3', failure, payload: 'poison', time: undefined },
      ]);
      expect(runs).toBe(1);
      expect(consumption.counts()).toEqual({ done: 0, repeated: 0, retried: 0, dead: 1 });
    });

    it('gives an item up after maxDeliver tries and says how often it failed', async () => {
      const queue = await newQueue();
      let runs = 0;
      await consume(queue, async () => {
        runs++;
        throw fault('PEER_UNAVAILABLE', 'The engine is away.');
      });
      const { id } = await queue.publish({ requester: 'a', payload: bytes('x') });
      const outcome = await finish(queue, id);
      const reason = 'The item failed 3 of 3 times; the last fault was PEER_UNAVAILABLE: The engine is away.';
      expect(outcome.kind === 'failed' && outcome.failure).toEqual({
        code: 'PEER_UNAVAILABLE',
        text: reason,
        deliveries: 3,
      });
      expect(runs).toBe(3);
      expect(await queue.deadLetters()).toHaveLength(1);
    });

    it('keeps the text of an unknown error out of outcomes and dead letters', async () => {
      const queue = await newQueue();
      await consume(
        queue,
        async () => {
          throw new Error('the prompt was: planted words');
        },
        { ...FAST, maxDeliver: 1 },
      );
      const { id } = await queue.publish({ requester: 'a', payload: bytes('x') });
      const outcome = await finish(queue, id);
      expect(outcome.kind === 'failed' && outcome.failure.code).toBe('INTERNAL');
      expect(JSON.stringify([outcome, await queue.deadLetters()])).not.toContain('planted');
    });

    it('tries a failed item again under a new dedupeId, and tells the new outcome from the old one', async () => {
      const queue = await newQueue();
      let isWell = false;
      await consume(queue, async () => {
        if (!isWell) throw fault('NOT_FINITE', 'bad number');
        return bytes('well');
      });
      const { id } = await queue.publish({ requester: 'a', payload: bytes('x') });
      const failed = await finish(queue, id);
      isWell = true;
      await queue.publish({ requester: 'a', payload: bytes('x'), dedupeId: `${id}-2` });
      const again = await finish(queue, id, failed.sequence);
      expect(failed.kind).toBe('failed');
      expect(again.kind === 'done' && text(again.result)).toBe('well');
    });

    it('keeps a handler alive that runs longer than ackWait', async () => {
      const queue = await newQueue();
      let runs = 0;
      const slow: WorkHandler = async () => {
        runs++;
        await sleep(1_500);
        return bytes('slow');
      };
      await consume(queue, slow, { ...FAST, ackWaitMs: 500, concurrency: 2 });
      const { id } = await queue.publish({ requester: 'a', payload: bytes('x') });
      await finish(queue, id);
      await untilEmpty(queue);
      expect(runs).toBe(1);
    });

    it('works on no more than `concurrency` items at once', async () => {
      const queue = await newQueue();
      let running = 0;
      let most = 0;
      await consume(
        queue,
        async () => {
          most = Math.max(most, ++running);
          await sleep(20);
          running--;
          return bytes('');
        },
        { ...FAST, concurrency: 3 },
      );
      for (let i = 0; i < 20; i++) await queue.publish({ requester: 'a', payload: bytes(`${i}`) });
      await untilEmpty(queue);
      expect(most).toBe(3);
    });

    it('refuses items beyond the limit of the queue and of one requester, and takes them when there is room', async () => {
      const queue = await newQueue({ maxItems: 5, maxItemsPerRequester: 3 });
      const publish = (requester: string, name: string) => queue.publish({ requester, payload: bytes(name) });
      for (const name of ['a1', 'a2', 'a3']) await publish('a', name);
      await expect(publish('a', 'a4')).rejects.toEqual(refusal('BUSY', /holds 3 items of a, which is its limit/));
      await publish('b', 'b1');
      await publish('b', 'b2');
      await expect(publish('c', 'c1')).rejects.toEqual(refusal('BUSY', /holds 5 items, which is its limit/));
      await consume(queue, async () => bytes(''));
      await untilEmpty(queue);
      await expect(publish('a', 'a4')).resolves.toMatchObject({ duplicate: false });
    });

    it('refuses an item that no server takes, and an id that would widen a subject', async () => {
      const queue = await newQueue();
      const large = Buffer.alloc(MAX_MESSAGE_BYTES + 1);
      await expect(queue.publish({ requester: 'a', payload: large })).rejects.toEqual(
        refusal('REQUEST_TOO_LARGE', /has 786433 bytes; the bus takes 786432\. Put large values into the blob store/),
      );
      await expect(queue.publish({ requester: 'a.>', payload: bytes('x') })).rejects.toEqual(
        refusal('REQUEST_INVALID', /The requester is "a\.>"; it must have 1 to 100 letters/),
      );
    });

    it('lets running handlers finish when it drains, and takes nothing new', async () => {
      const queue = await newQueue();
      let finished = 0;
      const consumption = await consume(queue, async () => {
        await sleep(300);
        finished++;
        return bytes('');
      });
      for (const name of ['one', 'two']) await queue.publish({ requester: 'a', payload: bytes(name) });
      await sleep(100);
      await consumption.drain(5_000);
      expect(finished).toBe(1);
      expect((await queue.load()).waiting).toBe(1);
    });

    it('gives items back when the grace period ends before their handlers', async () => {
      const queue = await newQueue();
      const stuck: WorkHandler = (_, signal) =>
        new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('stopped'))));
      const consumption = await consume(queue, stuck);
      const { id } = await queue.publish({ requester: 'a', payload: bytes('x') });
      await sleep(100);
      await consumption.drain(50);
      await consume(queue, async (item) => bytes(`delivery ${item.delivery}`));
      const outcome = await finish(queue, id);
      expect(outcome.kind === 'done' && text(outcome.result)).toBe('delivery 2');
    });

    it('stops waiting for an outcome at the limit, and at once when the caller gives up', async () => {
      const queue = await newQueue();
      expect(await awaitOutcome(queue, 'nothing', { limitMs: 50 })).toBeUndefined();
      const waiting = awaitOutcome(queue, 'nothing', { limitMs: 60_000, signal: AbortSignal.timeout(50) });
      await expect(waiting).rejects.toEqual(refusal('CANCELLED', /stopped waiting/));
    });

    it('knows whether it still holds an item, and lets it be withdrawn', async () => {
      const queue = await newQueue();
      const { position } = await queue.publish({ requester: 'a', payload: bytes('x') });
      expect(await queue.holds(position)).toBe(true);
      await queue.withdraw(position);
      expect(await queue.holds(position)).toBe(false);
      expect((await queue.load()).waiting).toBe(0);
    });

    it('shows how many workers are idle and how many items wait and run', async () => {
      const queue = await newQueue();
      let letGo = (): void => undefined;
      const gate = new Promise<void>((resolve) => {
        letGo = resolve;
      });
      const held: WorkHandler = async () => {
        await gate;
        return bytes('');
      };
      await consume(queue, held, { ...FAST, concurrency: 4 });
      await queue.publish({ requester: 'a', payload: bytes('x') });
      await sleep(200);
      expect(await queue.load()).toEqual({ waiting: 0, running: 1, idleSlots: 3 });
      letGo();
      await untilEmpty(queue);
    });
  });
};
