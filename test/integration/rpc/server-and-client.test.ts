import { setTimeout as sleep } from 'node:timers/promises';
import { Client, credentials } from '@grpc/grpc-js';
import { createChannel, createClient, Metadata, ServerError, Status } from 'nice-grpc';
import { HealthDefinition } from 'nice-grpc-server-health';
import { afterEach, describe, expect, it } from 'vitest';
import { SaeServiceDefinition, type SaeServiceImplementation } from '../../../proto/gen/refusalscope/v1/sae.js';
import {
  SearchServiceDefinition,
  type SearchServiceImplementation,
} from '../../../proto/gen/refusalscope/v1/search.js';
import { type Fault, fault } from '../../../shared/errors/fault.js';
import { createLogger, silentLogger } from '../../../shared/log/create-logger.js';
import { type Connection, connect } from '../../../shared/rpc/connect.js';
import { localEdge } from '../../../shared/rpc/edge.js';
import { bindService, type RunningServer, startServer } from '../../../shared/rpc/start-server.js';
import { callRaw } from '../../fuzz/targets/raw-call.js';

const unused = (): never => {
  throw new Error('this handler is not part of the test');
};
const saeHandlers = (own: Partial<SaeServiceImplementation>): SaeServiceImplementation => ({
  listSaes: unused,
  encode: unused,
  findNearestFeatures: unused,
  getEditRows: unused,
  admitSae: unused,
  ...own,
});

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

const serve = async (own: Partial<SaeServiceImplementation>, log = silentLogger, maxMessageBytes?: number) => {
  const server = await startServer({
    address: '127.0.0.1:0',
    services: [bindService(SaeServiceDefinition, saeHandlers(own))],
    logger: log,
    ...(maxMessageBytes !== undefined && { limits: { maxMessageBytes } }),
  });
  open.push({ close: () => server.stop(100) });
  return server;
};
const dial = (server: { address: string }): Connection<typeof SaeServiceDefinition> => {
  const connection = connect(SaeServiceDefinition, server.address, { retry: { baseDelayMs: 1, maxDelayMs: 5 } });
  open.push(connection);
  return connection;
};
const caught = async (promise: Promise<unknown>): Promise<Fault> =>
  promise.then(
    () => Promise.reject(new Error('the call was expected to fail')),
    (thrown) => thrown,
  );
const capture = () => {
  const lines: string[] = [];
  return { lines, logger: createLogger('test', 'trace', { write: (line) => void lines.push(line) }) };
};

describe('errors across the wire', () => {
  it('a fault arrives with its code, text and details', async () => {
    const server = await serve({
      encode: async () => {
        throw fault('SAE_UNKNOWN', 'No SAE is loaded for layer 7.', { details: { layer: '7' } });
      },
    });
    const thrown = await caught(dial(server).client.encode({ layer: 7 }));
    expect(thrown).toMatchObject({ name: 'Fault', code: 'SAE_UNKNOWN', message: 'No SAE is loaded for layer 7.' });
    expect(thrown.details.layer).toBe('7');
    expect(thrown.details.requestId).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('an unknown error arrives as INTERNAL without its text, and its cause is in the log under the same request id', async () => {
    const { lines, logger } = capture();
    const server = await serve({ encode: async () => Promise.reject(new Error('secret path /etc/key')) }, logger);
    const thrown = await caught(dial(server).client.encode({ layer: 7 }));
    expect(thrown.code).toBe('INTERNAL');
    expect(thrown.message).not.toContain('secret');
    const logged = lines.find((line) => line.includes('secret path'));
    expect(logged).toContain(thrown.details.requestId);
  });

  it('a stream that fails midway delivers what came before, then the fault', async () => {
    const server = await startServer({
      address: '127.0.0.1:0',
      logger: silentLogger,
      services: [
        bindService(SearchServiceDefinition, {
          ...({} as SearchServiceImplementation),
          ...Object.fromEntries(Object.keys(SearchServiceDefinition.methods).map((name) => [name, unused])),
          async *calibrateOpeners() {
            yield { event: { $case: 'progress', value: { stage: 'openers', done: 1 } } };
            throw fault('AUDIT_IMPOSSIBLE', 'Nothing is refused.');
          },
        } as SearchServiceImplementation),
      ],
    });
    open.push({ close: () => server.stop(100) });
    const connection = connect(SearchServiceDefinition, server.address);
    open.push(connection);
    const seen: unknown[] = [];
    const thrown = await caught(
      (async () => {
        for await (const response of connection.client.calibrateOpeners({})) seen.push(response.event?.$case);
      })(),
    );
    expect(seen).toEqual(['progress']);
    expect(thrown).toMatchObject({ code: 'AUDIT_IMPOSSIBLE', message: 'Nothing is refused.' });
  });

  it('a client takes no longer message than its process is told to', async () => {
    const server = await serve({ encode: async () => ({ rows: [{ values: Array<number>(300_000).fill(1) }] }) });
    const edge = { ...localEdge, limits: { maxMessageBytes: 1 << 20 } };
    const connection = connect(SaeServiceDefinition, server.address, { edge });
    open.push(connection);
    expect((await caught(connection.client.encode({ layer: 7 }))).code).toBe('REQUEST_TOO_LARGE');
  });

  it('a message over the limit is REQUEST_TOO_LARGE', async () => {
    const server = await serve({ encode: async () => ({ rows: [] }) }, silentLogger, 1000);
    const residual = { rows: 1, cols: 1000, data: Buffer.alloc(4000) };
    const thrown = await caught(dial(server).client.encode({ layer: 1, residual }));
    expect(thrown.code).toBe('REQUEST_TOO_LARGE');
    expect(thrown.message).toContain('4');
  });

  it('a status that middleware set by hand stays as it is', async () => {
    const server = await serve({
      encode: async () => {
        throw new ServerError(Status.UNAUTHENTICATED, 'no token');
      },
    });
    expect((await caught(dial(server).client.encode({}))).code).toBe('UNAUTHENTICATED');
  });
});

describe('cancellation and deadlines', () => {
  it('a cancelled call is CANCELLED for the caller and aborts the handler', async () => {
    let aborted = false;
    const server = await serve({
      encode: (_request, context) =>
        new Promise((_resolve, reject) => {
          context.signal.addEventListener('abort', () => {
            aborted = true;
            reject(context.signal.reason);
          });
        }),
    });
    const controller = new AbortController();
    const call = dial(server).client.encode({}, { signal: controller.signal });
    setTimeout(() => controller.abort(), 50);
    expect((await caught(call)).code).toBe('CANCELLED');
    await expect.poll(() => aborted).toBe(true);
  });

  it('an expired call is DEADLINE, names the limit, and aborts the handler', async () => {
    let aborted = false;
    const server = await serve({
      encode: async (_request, context) => {
        context.signal.addEventListener('abort', () => {
          aborted = true;
        });
        await sleep(5_000, undefined, { signal: context.signal });
        return { rows: [] };
      },
    });
    const thrown = await caught(dial(server).client.encode({}, { deadlineMs: 60 }));
    expect(thrown.message).toContain('60 ms');
    expect(thrown.code).toBe('DEADLINE');
    await expect.poll(() => aborted).toBe(true);
  });

  it('a deadline that is long enough changes nothing', async () => {
    const server = await serve({ encode: async () => ({ rows: [] }) });
    await expect(dial(server).client.encode({}, { deadlineMs: 5_000 })).resolves.toEqual({ rows: [] });
  });
});

describe('retries', () => {
  const failing = (code: 'BUSY' | 'SAE_UNKNOWN', times: number) => {
    const calls = { count: 0 };
    const encode = async () => {
      calls.count += 1;
      if (calls.count <= times) throw fault(code, `call ${calls.count}`);
      return { rows: [] };
    };
    return { calls, encode };
  };

  it('an idempotent method is retried while the peer is busy', async () => {
    const { calls, encode } = failing('BUSY', 2);
    const server = await serve({ encode });
    await dial(server).client.encode({});
    expect(calls.count).toBe(3);
  });

  it('gives up after a bounded number of tries', async () => {
    const { calls, encode } = failing('BUSY', 100);
    const server = await serve({ encode });
    expect((await caught(dial(server).client.encode({}))).code).toBe('BUSY');
    expect(calls.count).toBe(4);
  });

  it('a fault that a retry cannot help is not retried', async () => {
    const { calls, encode } = failing('SAE_UNKNOWN', 1);
    const server = await serve({ encode });
    expect((await caught(dial(server).client.encode({}))).code).toBe('SAE_UNKNOWN');
    expect(calls.count).toBe(1);
  });
});

describe('the life of a server', () => {
  const health = (server: RunningServer) => {
    const channel = createChannel(server.address);
    open.push(channel);
    return createClient(HealthDefinition, channel);
  };

  it('health tells services apart and follows setServing', async () => {
    const server = await serve({});
    const client = health(server);
    const name = SaeServiceDefinition.fullName;
    expect((await client.check({ service: name })).status).toBe(1);
    server.setServing(name, false);
    expect((await client.check({ service: name })).status).toBe(2);
    expect((await client.check({ service: '' })).status).toBe(1);
    await expect(client.check({ service: 'no.such.Service' })).rejects.toMatchObject({ code: Status.NOT_FOUND });
  });

  it('stop waits for a running call, and cancels one that outlasts the grace time', async () => {
    let started = 0;
    const server = await serve({
      encode: async (request, context) => {
        started += 1;
        await sleep(request.layer, undefined, { signal: context.signal });
        return { rows: [] };
      },
    });
    const { client } = dial(server);
    const short = client.encode({ layer: 150 });
    const long = caught(client.encode({ layer: 60_000 }));
    await expect.poll(() => started).toBe(2);
    await server.stop(400);
    await expect(short).resolves.toEqual({ rows: [] });
    expect((await long).code).toBe('CANCELLED');
  });

  it('waiting for a peer that is not there ends at the limit with its address', async () => {
    const connection = dial({ address: '127.0.0.1:1' });
    const thrown = await caught(connection.waitUntilReady(300));
    expect(thrown.code).toBe('PEER_UNAVAILABLE');
    expect(thrown.message).toContain('127.0.0.1:1');
  });

  it('the log names method, status and time, and never the payload', async () => {
    const { lines, logger } = capture();
    const server = await serve({ encode: async () => ({ rows: [{ indices: [424242], values: [1] }] }) }, logger);
    await dial(server).client.encode({ layer: 535353 }, { metadata: Metadata({ 'x-request-id': 'mine-1' }) });
    const call = lines.map((line) => JSON.parse(line)).find((line) => line.msg === 'call');
    expect(call).toMatchObject({ method: '/refusalscope.v1.SaeService/Encode', status: 'OK', requestId: 'mine-1' });
    expect(call.ms).toBeGreaterThan(0);
    expect(lines.join('')).not.toMatch(/424242|535353/);
  });
});

describe('bytes that are no message', () => {
  const call = (address: string, method: string, responseStream: boolean, bytes: Uint8Array) => {
    const client = new Client(address, credentials.createInsecure());
    open.push({ close: () => client.close() });
    const path = `/${SaeServiceDefinition.fullName}/${method}`;
    return callRaw(client, { path, responseStream }, bytes, 10_000);
  };

  it('are an invalid request, not an internal error, and nothing is logged as a defect', async () => {
    const lines: string[] = [];
    const log = createLogger('test', 'error', { write: (line) => void lines.push(line) });
    const { address } = await serve({ listSaes: async () => ({ saes: [] }) }, log);
    const answer = await call(address, 'Encode', false, Buffer.of(0xff, 0xff, 0xff));
    expect(answer).toMatchObject({
      status: 'INVALID_ARGUMENT',
      reason: 'REQUEST_INVALID',
      text: expect.stringContaining('are no message of /refusalscope.v1.SaeService/Encode'),
    });
    expect(lines).toEqual([]);
    // The handler of a sound one is reached (control).
    expect(await call(address, 'ListSaes', false, new Uint8Array())).toMatchObject({ status: 'OK' });
  });
});
