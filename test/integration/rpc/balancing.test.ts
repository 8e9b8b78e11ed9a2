/**
 * Calls over several pods behind one name: real servers on addresses of the loopback range, one port, as the pods of a headless Service
 * have. Only the answer of the name server is scripted.
 */
import dns from 'node:dns';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { InferenceServiceDefinition } from '../../../proto/gen/refusalscope/v1/inference.js';
import { fault, isFault } from '../../../shared/errors/fault.js';
import { silentLogger } from '../../../shared/log/create-logger.js';
import { type Connection, connect } from '../../../shared/rpc/connect.js';
import { bindService, type RunningServer, startServer } from '../../../shared/rpc/start-server.js';
import { freePort } from '../../fixtures/free-port.js';

const NAME = 'pods.test';
const unused = (): never => {
  throw fault('UNSUPPORTED', 'not part of the test');
};

/** What the name stands for at this moment. */
let addresses: string[] = [];
const open: { close(): unknown }[] = [];

beforeEach(() => {
  const real = dns.promises.lookup;
  vi.spyOn(dns.promises, 'lookup').mockImplementation((async (name: string, options: object) =>
    name === NAME ? addresses.map((address) => ({ address, family: 4 })) : real(name, options)) as never);
});
afterEach(async () => {
  vi.restoreAllMocks();
  for (const one of open.splice(0).reverse()) await one.close();
});

interface Pod {
  readonly server: RunningServer;
  calls: number;
}

/** A pod that answers calls, and streams for as long as it is asked to. */
const startPod = async (host: string, port: number, maxConnectionAgeMs = 0): Promise<Pod> => {
  const pod = { calls: 0 } as Pod;
  const service = bindService(InferenceServiceDefinition, {
    describeModel: async () => {
      pod.calls++;
      return { model: host };
    },
    async *evaluateMasks({ evaluations }) {
      for (const _ of evaluations) {
        await sleep(100);
        yield { results: [], bankDigest: host };
      }
    },
    tokenize: unused,
    captureResiduals: unused,
    generate: unused,
    measureCrossEntropy: unused,
  });
  const limits = { maxConnectionAgeMs };
  const server = await startServer({ address: `${host}:${port}`, services: [service], logger: silentLogger, limits });
  open.push({ close: () => server.stop(100) });
  return Object.assign(pod, { server });
};

const dial = (target: string): Connection<typeof InferenceServiceDefinition> => {
  const connection = connect(InferenceServiceDefinition, target, { retry: { baseDelayMs: 10, maxDelayMs: 100 } });
  open.push(connection);
  return connection;
};

/** Calls one after the other until `isDone`; a call that fails fails the test. */
const callUntil = async (
  { client }: ReturnType<typeof dial>,
  isDone: () => boolean,
  limitMs: number,
): Promise<void> => {
  const deadline = performance.now() + limitMs;
  while (!isDone()) {
    if (performance.now() > deadline) throw new Error('it did not come to that in time');
    await client.describeModel({ model: '' });
    await sleep(10);
  }
};

describe('calls over the pods of a name', () => {
  it.each([
    ['a name', (port: number) => `${NAME}:${port}`],
    ['a target of the dns scheme', (port: number) => `dns:///${NAME}:${port}`],
    ['a list of addresses', (port: number) => `ipv4:127.0.0.1:${port},127.0.0.2:${port},127.0.0.3:${port}`],
  ])('%s: every pod gets its share', async (_kind, targetAt) => {
    const port = await freePort();
    addresses = ['127.0.0.1', '127.0.0.2', '127.0.0.3'];
    const pods = await Promise.all(addresses.map((host) => startPod(host, port)));
    const connection = dial(targetAt(port));
    // All three are connected once each has answered.
    await callUntil(connection, () => pods.every(({ calls }) => calls > 0), 10_000);
    const before = pods.map(({ calls }) => calls);
    for (let i = 0; i < 30; i++) await connection.client.describeModel({ model: '' });
    expect(pods.map(({ calls }, i) => calls - before[i]!)).toEqual([10, 10, 10]);
  });

  it('a pod that is added later gets calls once connections are old, and no call fails meanwhile', async () => {
    const port = await freePort();
    addresses = ['127.0.0.1'];
    const first = await startPod('127.0.0.1', port, 500);
    const connection = dial(`${NAME}:${port}`);
    await callUntil(connection, () => first.calls > 20, 10_000);
    const second = await startPod('127.0.0.2', port, 500);
    addresses = ['127.0.0.1', '127.0.0.2'];
    // A name is asked for every 5 s at most.
    await callUntil(connection, () => second.calls > 20, 20_000);
    const [a, b] = [first.calls, second.calls];
    await callUntil(connection, () => second.calls > b + 20, 10_000);
    expect(first.calls - a).toBeGreaterThan(10);
  });

  it('without an age of connections a new pod would get none: it is the age that brings them', async () => {
    const port = await freePort();
    addresses = ['127.0.0.1'];
    const first = await startPod('127.0.0.1', port);
    const connection = dial(`${NAME}:${port}`);
    await callUntil(connection, () => first.calls > 20, 10_000);
    const second = await startPod('127.0.0.2', port);
    addresses = ['127.0.0.1', '127.0.0.2'];
    const until = performance.now() + 7_000;
    await callUntil(connection, () => performance.now() > until, 10_000);
    expect(second.calls).toBe(0);
  });

  it('a stream that outlives the age of its connection comes to its end', async () => {
    const port = await freePort();
    addresses = ['127.0.0.1'];
    await startPod('127.0.0.1', port, 200);
    const { client } = dial(`${NAME}:${port}`);
    const evaluations = Array.from({ length: 15 }, () => ({ promptIndex: 0 }));
    let parts = 0;
    for await (const _ of client.evaluateMasks({ evaluations })) parts++;
    expect(parts).toBe(15);
  });

  it('a pod that dies takes no call with it that may be made again', async () => {
    const port = await freePort();
    addresses = ['127.0.0.1', '127.0.0.2'];
    const pods = await Promise.all(addresses.map((host) => startPod(host, port)));
    const connection = dial(`${NAME}:${port}`);
    await callUntil(connection, () => pods.every(({ calls }) => calls > 0), 10_000);
    addresses = ['127.0.0.1'];
    await pods[1]!.server.stop(0);
    const seen = pods[0]!.calls;
    await callUntil(connection, () => pods[0]!.calls > seen + 30, 10_000);
  });

  it('with no pod at all a call fails as PEER_UNAVAILABLE', async () => {
    addresses = ['127.0.0.1'];
    const { client } = dial(`${NAME}:${await freePort()}`);
    const thrown = await client.describeModel({ model: '' }).catch((problem: unknown) => problem);
    expect(isFault(thrown, 'PEER_UNAVAILABLE')).toBe(true);
  });
});
