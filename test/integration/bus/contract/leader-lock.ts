/** The lock, over the checkpoints of both engines. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { createLeaderLock } from '../../../../shared/bus/leader-lock.js';
import { bytes, createKit, type OpenBus, refusal, text } from './kit.js';

export const describeLeaderLock = (engine: string, openBus: OpenBus): void => {
  describe(`leader lock, ${engine}`, () => {
    const { newBus } = createKit(openBus);
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
};
