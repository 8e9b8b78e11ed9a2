/**
 * Each service with its own user on a real nats-server: what the mesh does is allowed, and everything else that would do harm is refused
 * by the server.
 */
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EvaluateMasksRequest } from '../../../proto/gen/refusalscope/v1/inference.js';
import type { Bus } from '../../../shared/bus/bus.js';
import { evaluationQueueName, publishEvaluations, serveEvaluations } from '../../../shared/bus/evaluation-work.js';
import { createLeaderLock } from '../../../shared/bus/leader-lock.js';
import { connectNatsBus } from '../../../shared/bus/nats/connect-nats-bus.js';
import { natsAccountsOf } from '../../../shared/bus/nats/nats-accounts.js';
import { BUS_SERVICES, type BusService } from '../../../shared/bus/nats/nats-rights.js';
import type { SharedPart } from '../../../shared/bus/nats/nats-settings.js';
import { createSubjects, inboxPrefixOf } from '../../../shared/bus/subjects.js';
import { fault } from '../../../shared/errors/fault.js';
import { silentLogger } from '../../../shared/log/create-logger.js';
import { type NatsServer, startNatsServer } from '../../fixtures/nats/nats-server.js';
import { STAND_IN_MODEL, standInRequest, standInScore } from '../../fixtures/nats/stand-in-model.js';

const OPTIONS = { namespace: 'refusal', queues: [evaluationQueueName(STAND_IN_MODEL.name)] };
const [QUEUE] = OPTIONS.queues as [string];
const SHARES: Record<BusService, readonly SharedPart[]> = {
  inference: ['blobs'],
  search: ['blobs'],
  coordinator: ['events'],
};
const subjects = createSubjects(OPTIONS.namespace);
const passwordOf = (service: BusService): string => `only-${service}`;

let server: NatsServer;
const buses = new Map<BusService, Bus>();
const busOf = (service: BusService): Bus => buses.get(service)!;

beforeAll(async () => {
  const accounts = natsAccountsOf(OPTIONS, (service) => ({ user: service, password: passwordOf(service) }));
  server = await startNatsServer({ configuration: `accounts: ${JSON.stringify(accounts)}` });
  for (const service of BUS_SERVICES) {
    const own = { user: service, password: passwordOf(service), clientName: service, shares: SHARES[service] };
    buses.set(
      service,
      await connectNatsBus({ servers: [server.url], logger: silentLogger, callLimitMs: 5_000, ...own }),
    );
  }
});
afterAll(async () => {
  for (const bus of buses.values()) await bus.close();
  await server?.close();
});

const evaluate = async function* ({ prompts, evaluations }: EvaluateMasksRequest) {
  if (prompts.some(({ id }) => id === 'poison')) throw fault('REQUEST_INVALID', 'Not this one.');
  const results = evaluations.map(({ promptIndex, mask }, evaluationIndex) => ({
    evaluationIndex,
    refusalScore: standInScore(prompts[promptIndex]!.id, mask!.bits),
    firstTokenScore: 0,
    pI: 0,
    proof: [],
    acted: true,
    firstTokenKl: undefined,
    tokenBlocks: 0,
  }));
  yield { results, bankDigest: '' };
};

const ask = async (bus: Bus, prompts: readonly string[]): Promise<number> => {
  let answered = 0;
  const options = { requester: 'audit-1', modelDigest: STAND_IN_MODEL.digest, batchSize: 4 };
  for await (const { results } of publishEvaluations(bus, standInRequest(prompts, 8), options))
    answered += results.length;
  return answered;
};

describe('what the mesh does is allowed', () => {
  it('search queues evaluations and gets the answers of an inference pod; a poison batch becomes a dead letter', async () => {
    const workers = await serveEvaluations(busOf('inference'), STAND_IN_MODEL, evaluate);
    try {
      expect(await ask(busOf('search'), ['a', 'b', 'c'])).toBe(24);
      await expect(ask(busOf('search'), ['poison'])).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
    } finally {
      await workers.drain(1_000);
    }
  });

  it('search takes back items that no worker has, and finds outcomes that are stored', async () => {
    const stop = new AbortController();
    const queue = await busOf('search').workQueue({ name: QUEUE });
    const request = ask.bind(undefined, busOf('search'));
    expect(await request(['a', 'b', 'c']), 'known from before').toBe(24);
    const options = { requester: 'audit-2', modelDigest: STAND_IN_MODEL.digest, signal: stop.signal };
    const pending = (async () => {
      for await (const _ of publishEvaluations(busOf('search'), standInRequest(['unserved'], 8), options));
    })();
    await expect.poll(async () => (await queue.load()).waiting, { timeout: 10_000 }).toBe(1);
    stop.abort();
    await expect(pending).rejects.toMatchObject({ code: 'CANCELLED' });
    await expect.poll(async () => (await queue.load()).waiting, { timeout: 10_000 }).toBe(0);
  });

  it('the coordinator keeps values, events and a lease, and follows both', async () => {
    const bus = busOf('coordinator');
    const values = await bus.checkpoints('audits');
    await values.put('record/a1', Buffer.from('one'));
    expect(await values.list('record')).toEqual(['record/a1']);
    const lease = await createLeaderLock(values, 'lease/a1', { holder: 'test', termMs: 1_000 }).acquire({
      waitMs: 2_000,
    });
    expect(lease?.isHeld()).toBe(true);
    const stop = new AbortController();
    const seen: number[] = [];
    const following = (async () => {
      for await (const { sequence } of bus.events.read('a1', { follow: true, signal: stop.signal }))
        seen.push(sequence);
    })();
    await bus.events.append('a1', 1, Buffer.from('first'));
    await bus.events.append('a1', 2, Buffer.from('second'));
    // Within less than the poll that would make good a bell that is not heard.
    await expect.poll(() => seen, { timeout: 3_000 }).toEqual([1, 2]);
    stop.abort();
    await following;
    await lease?.release();
    await bus.events.remove('a1');
  });
});

describe('what a service has no business with is refused by the server', () => {
  const raw = async (service: BusService, use: (connection: NatsConnection) => Promise<void>): Promise<void> => {
    const login = { user: service, pass: passwordOf(service), inboxPrefix: inboxPrefixOf(service) };
    const connection = await connect({ servers: server.url, ...login });
    try {
      await use(connection);
    } finally {
      await connection.close();
    }
  };
  /** The server says so on the connection, after the fact. */
  const errorsOf = (connection: NatsConnection): string[] => {
    const said: string[] = [];
    void (async () => {
      for await (const status of connection.status()) if (status.type === 'error') said.push(status.error.message);
    })();
    return said;
  };

  const PUBLISH: readonly (readonly [BusService, string, string])[] = [
    ['inference', 'checkpoints of audits', subjects.checkpoint('audits', 'record/a1')],
    ['inference', 'a lease', subjects.checkpoint('audits', 'lease/a1/lease')],
    ['inference', 'events', subjects.event('a1')],
    ['inference', 'work', subjects.work(QUEUE, 'audit-1')],
    ['inference', 'banks', `$O.${subjects.blobBucket}.C.x`],
    ['inference', 'the end of the work stream', `$JS.API.STREAM.DELETE.${subjects.workStream(QUEUE)}`],
    ['inference', 'a reader of audits', `$JS.API.CONSUMER.CREATE.${subjects.checkpointStream('audits')}.spy`],
    ['search', 'events', subjects.event('a1')],
    ['search', 'checkpoints of audits', subjects.checkpoint('audits', 'report/a1')],
    ['search', 'outcomes', subjects.outcome(QUEUE, 'f'.repeat(64))],
    ['search', 'dead letters', subjects.dead(QUEUE, 'audit-1')],
    ['search', 'items for itself', `$JS.API.CONSUMER.MSG.NEXT.${subjects.workStream(QUEUE)}.${subjects.workConsumer}`],
    ['search', 'a purge of outcomes', `$JS.API.STREAM.PURGE.${subjects.outcomeStream(QUEUE)}`],
    ['coordinator', 'work', subjects.work(QUEUE, 'audit-1')],
    ['coordinator', 'outcomes', subjects.outcome(QUEUE, 'f'.repeat(64))],
    ['coordinator', 'the end of a stream', `$JS.API.STREAM.DELETE.${subjects.eventStream}`],
    ['coordinator', 'an answer to another service', `${inboxPrefixOf('search')}.x`],
  ];
  it.each(PUBLISH)('%s cannot publish %s', async (service, _what, subject) => {
    await raw(service, async (connection) => {
      const said = errorsOf(connection);
      connection.publish(subject, 'harm');
      await connection.flush();
      await expect.poll(() => said.join(), { timeout: 2_000 }).toMatch(/Permissions Violation for Publish/i);
    });
  });

  const SUBSCRIBE: readonly (readonly [BusService, string, string])[] = [
    ['inference', 'answers to search', `${inboxPrefixOf('search')}.>`],
    ['inference', 'everything', '>'],
    ['inference', 'work of others, past the consumer', subjects.allWork(QUEUE)],
    ['search', 'events', subjects.allEvents],
    ['search', 'audits', subjects.checkpointsBelow('audits', '')],
    ['coordinator', 'work', subjects.allWork(QUEUE)],
  ];
  it.each(SUBSCRIBE)('%s cannot listen to %s', async (service, _what, subject) => {
    await raw(service, async (connection) => {
      const said = errorsOf(connection);
      connection.subscribe(subject, { callback: () => undefined });
      await connection.flush();
      await expect.poll(() => said.join(), { timeout: 2_000 }).toMatch(/Permissions Violation for Subscription/i);
    });
  });

  it('a bus whose user lacks a right says so at once, by its name', async () => {
    const own = { user: 'inference', password: passwordOf('inference'), clientName: 'inference' };
    const opened = connectNatsBus({ servers: [server.url], logger: silentLogger, ...own, shares: ['events'] });
    await expect(opened).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(/lacks a right/),
    });
  });

  it('nobody comes in without a user, or with the password of another one', async () => {
    const attempt = (login: object) =>
      connect({ servers: server.url, reconnect: false, maxReconnectAttempts: 0, ...login });
    await expect(attempt({})).rejects.toThrow(/authorization/i);
    await expect(attempt({ user: 'coordinator', pass: passwordOf('search') })).rejects.toThrow(/authorization/i);
  });
});
