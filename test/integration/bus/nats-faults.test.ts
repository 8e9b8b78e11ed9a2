/** What the NATS engine survives: killed workers, servers that go away, a store that is lost. Real processes, real kills. */
import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Bus } from '../../../shared/bus/bus.js';
import { openEvaluationQueue, publishEvaluations } from '../../../shared/bus/evaluation-work.js';
import { createLeaderLock } from '../../../shared/bus/leader-lock.js';
import { connectNatsBus } from '../../../shared/bus/nats/connect-nats-bus.js';
import { silentLogger } from '../../../shared/log/create-logger.js';
import { type NatsServer, startNatsServer } from '../../fixtures/nats/nats-server.js';
import { maskBits, STAND_IN_MODEL, standInRequest, standInScore } from '../../fixtures/nats/stand-in-model.js';
import { type StartedProcess, startProcess } from '../../fixtures/nats/start-process.js';
import { bytes, refusal, text } from './contract/kit.js';

const WORKER = new URL('../../fixtures/nats/evaluation-worker.js', import.meta.url);
const PROMPTS = ['p0', 'p1', 'p2', 'p3', 'p4', 'p5', 'p6', 'p7'];
const MASKS = 40;
const RIGHT = PROMPTS.flatMap((id) => Array.from({ length: MASKS }, (_, mask) => standInScore(id, maskBits(mask))));

let server: NatsServer;
let namespace: string;
const open: { close(): Promise<unknown> }[] = [];

beforeEach(async () => {
  server = await startNatsServer();
  namespace = `t-${randomUUID()}`;
});
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
  await server.close();
});

const newBus = async (): Promise<Bus> => {
  const bus = await connectNatsBus({ servers: [server.url], namespace, logger: silentLogger });
  open.push(bus);
  return bus;
};
const startWorker = async (environment: Record<string, string> = {}): Promise<StartedProcess> => {
  const worker = startProcess(WORKER, {
    BUS_SERVERS: server.url,
    BUS_NAMESPACE: namespace,
    WAIT_MS: '60',
    ACK_WAIT_MS: '1500',
    ...environment,
  });
  open.push({ close: () => worker.kill('SIGKILL') });
  await worker.until((line) => line === 'ready');
  return worker;
};

/** The scores of a request of 8 prompts x 40 masks, in order, computed by whatever workers there are. */
const evaluateAll = async (
  bus: Bus,
  onResponse: (answered: number) => unknown = () => undefined,
): Promise<number[]> => {
  const scores: number[] = [];
  const request = standInRequest(PROMPTS, MASKS);
  const options = { requester: 'audit', modelDigest: STAND_IN_MODEL.digest, batchSize: 10 };
  let answered = 0;
  for await (const { results } of publishEvaluations(bus, request, options)) {
    for (const { evaluationIndex, refusalScore } of results) scores[evaluationIndex] = refusalScore;
    answered += results.length;
    await onResponse(answered);
  }
  return scores;
};

/** Evaluations that were begun more than once. */
const countRedone = (workers: readonly StartedProcess[]): number => {
  const begun = workers.flatMap(({ lines }) =>
    lines.filter((line) => line.startsWith('start ')).flatMap((line) => line.split(' ').slice(1)),
  );
  return begun.length - new Set(begun).size;
};

describe('workers', () => {
  it('gives the same scores when a worker is killed in the middle of a batch, and redoes at most what it had', async () => {
    const bus = await newBus();
    const [victim, survivor] = await Promise.all([startWorker(), startWorker()]);
    let killed: Promise<void> | undefined;
    const scores = await evaluateAll(bus, async (answered) => {
      if (answered < 60 || killed !== undefined) return;
      killed = victim.until((line) => line.startsWith('start ')).then(() => victim.kill('SIGKILL'));
      await killed;
    });
    expect(scores).toEqual(RIGHT);
    // Two slots of ten evaluations each.
    expect(countRedone([victim, survivor])).toBeLessThanOrEqual(20);
  });

  it('gives up an item that kills every worker it meets, as a dead letter, and answers the rest', async () => {
    const bus = await newBus();
    const fatal = { CRASH_ON: 'p3', MAX_DELIVER: '2', ACK_WAIT_MS: '500' };
    const workers = [await startWorker(fatal)];
    let isOver = false;
    const restarting = (async () => {
      while (!isOver) {
        await workers.at(-1)?.exited;
        if (!isOver) workers.push(await startWorker(fatal));
      }
    })();
    const poisoned = (async () => {
      for await (const _ of publishEvaluations(bus, standInRequest(['p3'], 4), {
        requester: 'audit',
        modelDigest: STAND_IN_MODEL.digest,
      }));
    })();
    await expect(poisoned).rejects.toEqual(
      refusal('INTERNAL', /handed out 2 times and no worker lived to answer: it may crash them/),
    );
    const well: number[] = [];
    for await (const { results } of publishEvaluations(bus, standInRequest(['p4'], 4), {
      requester: 'audit',
      modelDigest: STAND_IN_MODEL.digest,
    })) {
      for (const { evaluationIndex, refusalScore } of results) well[evaluationIndex] = refusalScore;
    }
    isOver = true;
    await workers.at(-1)?.kill('SIGKILL');
    await restarting;
    expect(well).toEqual([0, 1, 2, 3].map((mask) => standInScore('p4', maskBits(mask))));
    const letters = await (await openEvaluationQueue(bus, STAND_IN_MODEL.name)).deadLetters();
    expect(letters.map(({ failure }) => failure.deliveries)).toEqual([2]);
    expect(workers.length).toBeGreaterThanOrEqual(3);
  });

  it('finishes what it has when told to stop, so that nothing is redone', async () => {
    const bus = await newBus();
    const [leaving, staying] = await Promise.all([startWorker(), startWorker()]);
    let stopped: Promise<void> | undefined;
    const scores = await evaluateAll(bus, (answered) => {
      if (answered >= 60) stopped ??= leaving.kill('SIGTERM');
    });
    await stopped;
    expect(leaving.lines.at(-1)).toBe('drained');
    expect(scores).toEqual(RIGHT);
    expect(countRedone([leaving, staying])).toBe(0);
  });
});

describe('a server that goes away', () => {
  const OUTAGE_MS = 3_000;
  const outage = async (signal: NodeJS.Signals): Promise<void> => {
    await server.stop(signal);
    await sleep(OUTAGE_MS);
    await server.start();
  };

  it.each(['SIGTERM', 'SIGKILL'] as const)('loses no evaluation over an outage that begins with %s', async (signal) => {
    const bus = await newBus();
    const workers = await Promise.all([startWorker(), startWorker()]);
    let outaged: Promise<void> | undefined;
    const scores = await evaluateAll(bus, (answered) => {
      if (answered >= 60) outaged ??= outage(signal);
    });
    await outaged;
    expect(scores).toEqual(RIGHT);
    expect(countRedone(workers)).toBeLessThanOrEqual(40);
  });

  it('asks again for what a server lost with its whole store', async () => {
    const bus = await newBus();
    await startWorker();
    let lost: Promise<void> | undefined;
    const loseAll = async (): Promise<void> => {
      await server.stop('SIGKILL');
      await rm(server.storeFolder, { recursive: true });
      await server.start();
    };
    const scores = await evaluateAll(bus, (answered) => {
      if (answered >= 60) lost ??= loseAll();
    });
    await lost;
    expect(scores).toEqual(RIGHT);
  });

  it('keeps events in order and checkpoints whole, and a follower misses nothing', async () => {
    const bus = await newBus();
    const store = await bus.checkpoints('audits');
    const stop = new AbortController();
    const seen: string[] = [];
    const following = (async () => {
      for await (const { sequence, event } of bus.events.read('a1', { follow: true, signal: stop.signal })) {
        seen.push(`${sequence} ${text(event)}`);
        if (sequence === 60) stop.abort();
      }
    })();
    let revision = 0;
    let outaged: Promise<void> | undefined;
    for (let i = 1; i <= 60; i++) {
      if (i === 20) outaged = outage('SIGKILL');
      await bus.events.append('a1', i, bytes(`event ${i}`));
      revision = await store.put('state', bytes(`${i}`), { revision });
    }
    await Promise.all([outaged, following]);
    expect(seen).toEqual(Array.from({ length: 60 }, (_, i) => `${i + 1} event ${i + 1}`));
    expect(text((await store.get('state'))?.value)).toBe('60');
    expect(bus.isConnected()).toBe(true);
  });

  it('says that it is away, and fails a call with the reason when the limit is over', async () => {
    const bus = await connectNatsBus({ servers: [server.url], namespace, logger: silentLogger, callLimitMs: 1_000 });
    open.push(bus);
    const store = await bus.checkpoints('audits');
    await server.stop();
    await expect.poll(() => bus.isConnected(), { timeout: 5_000 }).toBe(false);
    await expect(store.put('a', bytes('x'))).rejects.toEqual(
      refusal('PEER_UNAVAILABLE', /^Writing the checkpoint "a": NATS did not answer within 1 s\. Check the server\.$/),
    );
  });

  it('ends a lease that could not be renewed before another process can take it', async () => {
    const bus = await newBus();
    const other = await newBus();
    const lockOf = async (one: Bus, holder: string) =>
      createLeaderLock(await one.checkpoints('locks'), 'audit', { holder, termMs: 1_500 });
    const first = await (await lockOf(bus, 'one')).acquire({ waitMs: 0 });
    const second = (await lockOf(other, 'two')).acquire({ waitMs: 30_000 });
    let lostAt = 0;
    first?.signal.addEventListener('abort', () => {
      lostAt = performance.now();
    });
    await outage('SIGKILL');
    const lease = await second;
    const takenAt = performance.now();
    expect(lostAt).toBeGreaterThan(0);
    expect(takenAt).toBeGreaterThan(lostAt);
    expect(first?.isHeld()).toBe(false);
    expect(lease?.isHeld()).toBe(true);
    await first?.release();
    expect(lease?.isHeld()).toBe(true);
    await lease?.release();
  });
});

describe('settings', () => {
  it('says which servers do not answer, without their passwords', async () => {
    const settings = { servers: ['nats://me:secret@127.0.0.1:1'], logger: silentLogger, connectLimitMs: 300 };
    const refused = await connectNatsBus(settings).catch((thrown: unknown) => thrown);
    expect(refused).toEqual(refusal('PEER_UNAVAILABLE', /^No NATS server answers at nats:\/\/127\.0\.0\.1:1 \(/));
    expect(JSON.stringify(refused)).not.toContain('secret');
  });

  it('brings a stream of other settings to the present ones and keeps its items', async () => {
    const first = await newBus();
    await (await first.workQueue({ name: 'q', maxItems: 5 })).publish({ requester: 'a', payload: bytes('kept') });
    const second = await newBus();
    const queue = await second.workQueue({ name: 'q', maxItems: 7 });
    expect((await queue.load()).waiting).toBe(1);
    for (const name of ['1', '2', '3', '4', '5', '6']) await queue.publish({ requester: 'a', payload: bytes(name) });
    await expect(queue.publish({ requester: 'a', payload: bytes('7') })).rejects.toEqual(
      refusal('BUSY', /holds 7 items, which is its limit/),
    );
  });

  it('refuses a stream of another kind with the way out', async () => {
    const bus = await newBus();
    const foreign = await connect({ servers: server.url });
    const manager = await jetstreamManager(foreign);
    await manager.streams.add({
      name: `${namespace.toUpperCase()}_WORK_q`,
      subjects: ['elsewhere'],
      retention: 'limits',
    });
    await foreign.close();
    await expect(bus.workQueue({ name: 'q' })).rejects.toEqual(
      refusal('CONFIG_INVALID', /_WORK_q exists with another retention, which the server cannot change: stop the mesh/),
    );
  });
});
