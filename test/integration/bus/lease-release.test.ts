/** A lease that is given back after an outage in which a renewal hung: the store is a real one, only the order of two writes is scripted. */
import { describe, expect, it } from 'vitest';
import type { CheckpointStore } from '../../../shared/bus/bus.js';
import { createLeaderLock } from '../../../shared/bus/leader-lock.js';
import { createLocalBus } from '../../../shared/bus/local/create-local-bus.js';

describe('a lease that is given back', () => {
  it('stands for nobody, although a renewal that had hung with the server came in first', async () => {
    const store = await createLocalBus().checkpoints('state');
    let serverIsBack = (): void => undefined;
    const outage = new Promise<void>((resolve) => {
      serverIsBack = resolve;
    });
    let renewal: Promise<number> | undefined;
    const away: CheckpointStore = {
      bucket: store.bucket,
      get: (key) => store.get(key),
      list: (prefix) => store.list(prefix),
      watch: (prefix, signal) => store.watch(prefix, signal),
      put: (key, value, options) => {
        // The first two take the lease; the one after them renews it.
        if (options?.revision === undefined || options.revision === 0) return store.put(key, value, options);
        renewal = outage.then(() => store.put(key, value, options));
        return renewal;
      },
      delete: async (key, options) => {
        serverIsBack();
        await renewal;
        return store.delete(key, options);
      },
    };
    const lock = createLeaderLock(away, 'audit', { holder: 'one', termMs: 120 });
    const lease = (await lock.acquire({ waitMs: 0 }))!;
    await new Promise((resolve) => lease.signal.addEventListener('abort', resolve));
    expect(renewal).toBeDefined();
    await lease.release();
    expect(await lock.holder()).toBeUndefined();
  });
});
