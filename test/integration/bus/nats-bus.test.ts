import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll } from 'vitest';
import { connectNatsBus } from '../../../shared/bus/nats/connect-nats-bus.js';
import { silentLogger } from '../../../shared/log/create-logger.js';
import { type NatsServer, startNatsServer } from '../../fixtures/nats/nats-server.js';
import { describeBusContract } from './contract.js';

let server: NatsServer;
beforeAll(async () => {
  server = await startNatsServer();
});
afterAll(() => server.close());

describeBusContract('on NATS', () =>
  connectNatsBus({ servers: [server.url], namespace: `t-${randomUUID()}`, logger: silentLogger }),
);
