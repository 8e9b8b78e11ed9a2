/** What both engines promise of checkpoints. */
import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { CheckpointChange } from '../../../../shared/bus/bus.js';
import { MAX_MESSAGE_BYTES } from '../../../../shared/bus/message-limits.js';
import { bytes, createKit, type OpenBus, refusal, text } from './kit.js';

export const describeCheckpoints = (engine: string, openBus: OpenBus): void => {
  describe(`checkpoints, ${engine}`, () => {
    const { newBus } = createKit(openBus);
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
};
