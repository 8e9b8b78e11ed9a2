/** What both engines of the bus promise. Each engine's test file calls this with a way to open a bus of its own. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import type {
  Bus,
  CheckpointChange,
  ConsumeOptions,
  Consumption,
  WorkHandler,
  WorkItem,
  WorkQueue,
} from '../../../shared/bus/bus.js';
import { contentId } from '../../../shared/bus/content-id.js';
import { createLeaderLock } from '../../../shared/bus/leader-lock.js';
import { MAX_MESSAGE_BYTES } from '../../../shared/bus/message-limits.js';
import { type FaultCode, fault } from '../../../shared/errors/fault.js';

const bytes = (text: string): Buffer => Buffer.from(text, 'utf8');
const text = (data: Uint8Array | undefined): string => Buffer.from(data ?? []).toString('utf8');
const refusal = (code: FaultCode, message: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) });

/** Fast times, so that the suite is short. */
const FAST: ConsumeOptions = { ackWaitMs: 1_000, maxDeliver: 3, backoffMs: [50, 100] };

export const describeBusContract = (engine: string, openBus: () => Promise<Bus>): void => {
  const open: { close(): Promise<unknown> }[] = [];
  afterEach(async () => {
    for (const one of open.splice(0).reverse()) await one.close();
  });
  const newBus = async (): Promise<Bus> => {
    const bus = await openBus();
    open.push(bus);
    return bus;
  };
  const newQueue = async (settings: { maxItems?: number; maxItemsPerRequester?: number } = {}): Promise<WorkQueue> =>
    (await newBus()).workQueue({ name: `q-${randomUUID()}`, ...settings });
  const consume = async (queue: WorkQueue, handler: WorkHandler, options = FAST): Promise<Consumption> => {
    const consumption = await queue.consume(handler, options);
    open.push({ close: () => consumption.drain(0) });
    return consumption;
  };
  const finish = async (queue: WorkQueue, id: string, afterSequence = 0) => {
    const outcome = await queue.awaitOutcome(id, { afterSequence, limitMs: 10_000 });
    if (outcome === undefined) throw new Error(`no outcome of ${id} within 10 s`);
    return outcome;
  };
  const untilEmpty = async (queue: WorkQueue): Promise<void> => {
    for (let i = 0; i < 200; i++) {
      const { waiting, running } = await queue.load();
      if (waiting + running === 0) return;
      await sleep(25);
    }
    throw new Error('the queue did not run empty within 5 s');
  };

  describe(`work queue, ${engine}`, () => {
    it('hands an item to a worker and keeps its result for whoever asks for the id, also later', async () => {
      const queue = await newQueue();
      const { id } = await queue.publish({ requester: 'audit-1', payload: bytes('six') });
      await consume(queue, async (item) => bytes(`${text(item.payload)} done`));
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
      expect(await queue.awaitOutcome('nothing', { limitMs: 50 })).toBeUndefined();
      const waiting = queue.awaitOutcome('nothing', { limitMs: 60_000, signal: AbortSignal.timeout(50) });
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

  describe(`audit events, ${engine}`, () => {
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

  describe(`checkpoints, ${engine}`, () => {
    const bucket = (): string => `b-${randomUUID()}`;

    it('gives back what was put, under paths, until it is deleted', async () => {
      const store = await (await newBus()).checkpoints(bucket());
      await store.put('a1/filter/p1', bytes('one'));
      await store.put('a1/filter/p2', bytes('two'));
      await store.put('a2/spec', bytes('three'));
      await store.put('a1/filter/p1', bytes('one again'));
      expect(text((await store.get('a1/filter/p1'))?.value)).toBe('one again');
      expect(await store.list('a1')).toEqual(['a1/filter/p1', 'a1/filter/p2']);
      await store.delete('a1/filter/p1');
      await store.delete('a1/filter/p1');
      expect(await store.get('a1/filter/p1')).toBeUndefined();
      expect(await store.list('')).toEqual(['a1/filter/p2', 'a2/spec']);
    });

    it('writes under a revision only if nobody wrote in between', async () => {
      const store = await (await newBus()).checkpoints(bucket());
      const first = await store.put('key', bytes('1'), { revision: 0 });
      const second = await store.put('key', bytes('2'), { revision: first });
      expect(second).toBeGreaterThan(first);
      const conflict = refusal('REVISION_CONFLICT', /"key" .* was not written: its revision is no longer/);
      await expect(store.put('key', bytes('3'), { revision: first })).rejects.toEqual(conflict);
      await expect(store.put('key', bytes('3'), { revision: 0 })).rejects.toEqual(conflict);
      await expect(store.delete('key', { revision: first })).rejects.toEqual(conflict);
      expect(await store.get('key')).toEqual(expect.objectContaining({ revision: second }));
      await store.delete('key', { revision: second });
      await store.put('key', bytes('anew'), { revision: 0 });
      expect(text((await store.get('key'))?.value)).toBe('anew');
    });

    it('lets exactly one of many writers win', async () => {
      const store = await (await newBus()).checkpoints(bucket());
      const revision = await store.put('key', bytes('start'));
      const tries = Array.from({ length: 20 }, (_, i) => store.put('key', bytes(`${i}`), { revision }));
      const settled = await Promise.allSettled(tries);
      const winners = settled.flatMap(({ status }, i) => (status === 'fulfilled' ? [`${i}`] : []));
      expect(winners).toHaveLength(1);
      expect([text((await store.get('key'))?.value)]).toEqual(winners);
    });

    it('shows a watcher what is there and then each change', async () => {
      const store = await (await newBus()).checkpoints(bucket());
      await store.put('w/old', bytes('was deleted'));
      await store.delete('w/old');
      await store.put('w/a', bytes('1'));
      const stop = new AbortController();
      const seen: string[] = [];
      const show = ({ key, value }: CheckpointChange): string => `${key} ${value === undefined ? 'gone' : text(value)}`;
      const watching = (async () => {
        for await (const change of store.watch('w', stop.signal)) {
          seen.push(show(change));
          if (change.key === 'w/end') stop.abort();
        }
      })();
      await expect.poll(() => seen.length).toBe(1);
      await store.put('other', bytes('not watched'));
      await store.put('w/b', bytes('2'));
      await expect.poll(() => seen.length).toBe(2);
      await store.delete('w/a');
      await store.put('w/end', bytes('3'));
      await watching;
      expect(seen).toEqual(['w/a 1', 'w/b 2', 'w/a gone', 'w/end 3']);
    });

    it('refuses a key that is no path and a value that is too large', async () => {
      const store = await (await newBus()).checkpoints(bucket());
      for (const key of ['', 'a.b', 'a/*', '/a', 'a//b', 'a b']) {
        await expect(store.put(key, bytes('x')), key).rejects.toEqual(refusal('REQUEST_INVALID', /must be a path/));
      }
      await expect(store.put('a', Buffer.alloc(MAX_MESSAGE_BYTES + 1))).rejects.toEqual(
        refusal('REQUEST_TOO_LARGE', /The checkpoint "a" has 786433 bytes/),
      );
    });
  });

  describe(`leader lock, ${engine}`, () => {
    const TERM_MS = 600;
    const newStore = async () => (await newBus()).checkpoints(`locks-${randomUUID()}`);

    it('gives the lease to one at a time and hands it over at once when it is released', async () => {
      const store = await newStore();
      const first = await createLeaderLock(store, 'audit', { holder: 'one', termMs: TERM_MS }).acquire({ waitMs: 0 });
      const second = createLeaderLock(store, 'audit', { holder: 'two', termMs: TERM_MS });
      expect(await second.acquire({ waitMs: 3 * TERM_MS })).toBeUndefined();
      expect(first?.isHeld()).toBe(true);
      expect(await second.holder()).toBe('one');
      await first?.release();
      const startedAt = performance.now();
      const lease = await second.acquire({ waitMs: 3 * TERM_MS });
      expect(performance.now() - startedAt).toBeLessThan(TERM_MS / 2);
      expect(await second.holder()).toBe('two');
      await lease?.release();
    });

    it('never has two holders among many that contend for it', async () => {
      const store = await newStore();
      let holders = 0;
      let most = 0;
      const turns: string[] = [];
      const contend = async (holder: string): Promise<void> => {
        const lock = createLeaderLock(store, 'audit', { holder, termMs: TERM_MS });
        for (let i = 0; i < 3; i++) {
          const lease = await lock.acquire({ waitMs: 30_000 });
          most = Math.max(most, ++holders);
          await sleep(20);
          expect(lease?.isHeld()).toBe(true);
          turns.push(holder);
          holders--;
          await lease?.release();
        }
      };
      await Promise.all(['one', 'two', 'three'].map(contend));
      expect(most).toBe(1);
      expect(turns).toHaveLength(9);
    });

    it('takes over from a holder that fell silent after one term, and the old fence then opens nothing', async () => {
      const store = await newStore();
      const lock = createLeaderLock(store, 'audit', { holder: 'two', termMs: TERM_MS });
      // A process that died: its lease and fence are written, and nobody renews them.
      await store.put('audit/lease', bytes('dead'));
      const deadFence = { key: 'audit/fence', revision: await store.put('audit/fence', bytes('dead')) };
      await store.put('state', bytes('by the dead one'), { fence: deadFence });
      const startedAt = performance.now();
      const lease = await lock.acquire({ waitMs: 10_000 });
      expect(performance.now() - startedAt).toBeGreaterThan(TERM_MS);
      expect(performance.now() - startedAt).toBeLessThan(3 * TERM_MS);
      await expect(store.put('state', bytes('late'), { fence: deadFence })).rejects.toEqual(
        refusal('REVISION_CONFLICT', /another process has taken the lease since/),
      );
      await store.put('state', bytes('by the new one'), { fence: lease!.fence });
      expect(text((await store.get('state'))?.value)).toBe('by the new one');
      await lease?.release();
    });

    it('tells a holder whose lease was taken', async () => {
      const store = await newStore();
      const lease = await createLeaderLock(store, 'audit', { holder: 'one', termMs: TERM_MS }).acquire({ waitMs: 0 });
      await store.put('audit/lease', bytes('stolen'));
      await expect.poll(() => lease?.signal.aborted, { timeout: 2_000 }).toBe(true);
      expect(lease?.isHeld()).toBe(false);
      await lease?.release();
      expect(text((await store.get('audit/lease'))?.value)).toBe('stolen');
    });
  });

  describe(`blobs, ${engine}`, () => {
    it('keeps large bytes under their digest, once', async () => {
      const { blobs } = await newBus();
      const large = Buffer.alloc(20 * 1024 * 1024);
      for (let i = 0; i < large.length; i += 4) large.writeUInt32LE((i * 2654435761) >>> 0, i);
      const digest = await blobs.put(large);
      expect(digest).toBe(contentId(large));
      expect(await blobs.put(large)).toBe(digest);
      const back = await blobs.get(digest);
      expect(back === undefined ? undefined : contentId(back)).toBe(digest);
      expect(text(await blobs.get(await blobs.put(bytes('small'))))).toBe('small');
      expect((await blobs.get(await blobs.put(bytes(''))))?.length).toBe(0);
    });

    it('says undefined for a digest it does not have, and refuses what is no digest', async () => {
      const { blobs } = await newBus();
      expect(await blobs.get(contentId(bytes(`never put ${randomUUID()}`)))).toBeUndefined();
      await expect(blobs.get('../../etc/passwd')).rejects.toEqual(refusal('REQUEST_INVALID', /is no blob digest/));
    });
  });
};
