import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { SaeServiceDefinition } from '../../../proto/gen/refusalscope/v1/sae.js';
import { silentLogger } from '../../../shared/log/create-logger.js';
import { connect } from '../../../shared/rpc/connect.js';
import type { ServerLimits } from '../../../shared/rpc/server-limits.js';
import { bindService, startServer } from '../../../shared/rpc/start-server.js';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** Each call of listSaes waits `waitMs`, or until its signal aborts. */
const serve = async (waitMs: number, limits: Partial<ServerLimits>) => {
  let running = 0;
  const unused = async () => ({});
  const service = bindService(SaeServiceDefinition, {
    listSaes: async (_request, { signal }) => {
      running += 1;
      await sleep(waitMs, undefined, { signal }).finally(() => (running -= 1));
      return { saes: [] };
    },
    encode: unused,
    findNearestFeatures: unused,
    getEditRows: unused,
    admitSae: unused,
  });
  const server = await startServer({ address: '127.0.0.1:0', services: [service], logger: silentLogger, limits });
  closing.push(() => server.stop(100));
  const { client, close } = connect(SaeServiceDefinition, server.address, { retry: { maxAttempts: 1 } });
  closing.push(close);
  return { client, running: () => running };
};

describe('limits of a server', () => {
  it('calls beyond the limit are refused at once as BUSY, those within it finish, and then there is room again', async () => {
    const { client } = await serve(150, { maxCalls: 3 });
    const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => client.listSaes({})));
    const refused = outcomes.filter((one): one is PromiseRejectedResult => one.status === 'rejected');
    expect(refused).toHaveLength(5);
    for (const { reason } of refused) {
      expect(reason).toMatchObject({ code: 'BUSY', message: '3 calls are running here, the limit. Try again later.' });
    }
    await expect(client.listSaes({})).resolves.toEqual({ saes: [] });
  });

  it('a call that goes on too long ends as DEADLINE, and its work ends with it', async () => {
    const { client, running } = await serve(10_000, { maxCallMs: 60 });
    await expect(client.listSaes({})).rejects.toMatchObject({
      code: 'DEADLINE',
      message: 'The call went on for more than 60 ms, the limit of this server.',
    });
    expect(running()).toBe(0);
  });

  it('a caller that cancels is not told of a limit', async () => {
    const { client } = await serve(10_000, { maxCallMs: 5_000 });
    await expect(client.listSaes({}, { signal: AbortSignal.timeout(40) })).rejects.toMatchObject({ code: 'CANCELLED' });
  });
});
