import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import type { EngineThread } from '../../../services/inference/thread/messages.js';
import { type WatchedEngine, watchEngine } from '../../../services/inference/watch-engine.js';

/** An engine whose jobs end when they are let go; a heartbeat waits behind them while it is stuck. */
const createEngine = () => {
  const held: (() => void)[] = [];
  let isStuck = false;
  let heartbeats = 0;
  const engine = {
    ready: {},
    stop: async () => undefined,
    run: async (kind: string) => {
      if (kind === 'statistics') {
        heartbeats += 1;
        while (isStuck) await sleep(5);
        return { cacheBytes: 7 };
      }
      await new Promise<void>((resolve) => held.push(resolve));
      return {};
    },
  } as unknown as EngineThread;
  return {
    engine,
    stick: (stuck: boolean) => {
      isStuck = stuck;
    },
    release: () => {
      for (const let_go of held.splice(0)) let_go();
    },
    heartbeats: () => heartbeats,
  };
};

const open: WatchedEngine[] = [];
afterEach(() => {
  for (const watched of open.splice(0)) watched.stop();
});

const watchOf = (engine: EngineThread) => {
  const events: string[] = [];
  const watched = watchEngine(engine, {
    intervalMs: 10,
    limitMs: 60,
    onWedged: () => events.push('wedged'),
    onAnswers: () => events.push('answers'),
  });
  open.push(watched);
  return { events, watched };
};

describe('an engine that is stuck', () => {
  it('is seen once, and seen again when it answers', async () => {
    const { engine, stick, release } = createEngine();
    const { events, watched } = watchOf(engine);
    const job = watched.engine.run('generate', {} as never, new AbortController().signal);
    await sleep(40);
    expect(events).toEqual([]);
    stick(true);
    await sleep(250);
    expect(events).toEqual(['wedged']);
    expect(watched.isWedged()).toBe(true);
    stick(false);
    await sleep(60);
    expect(events).toEqual(['wedged', 'answers']);
    release();
    await job;
  });

  it('without work no heartbeat is asked for, however long it is silent', async () => {
    const { engine, stick, heartbeats } = createEngine();
    const { events } = watchOf(engine);
    stick(true);
    await sleep(150);
    expect(events).toEqual([]);
    expect(heartbeats()).toBe(0);
  });

  it('a long job is no reason, while heartbeats are answered between its batches', async () => {
    const { engine, release, heartbeats } = createEngine();
    const { events, watched } = watchOf(engine);
    const job = watched.engine.run('evaluate', {} as never, new AbortController().signal);
    await sleep(250);
    expect(events).toEqual([]);
    expect(heartbeats()).toBeGreaterThan(3);
    release();
    await job;
  });
});
