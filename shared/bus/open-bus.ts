/** Picks the engine: NATS where servers are named, else this process alone. */
import type { Bus } from './bus.js';
import { createLocalBus } from './local/create-local-bus.js';
import { connectNatsBus } from './nats/connect-nats-bus.js';
import type { NatsSettings } from './nats/nats-settings.js';

export const openBus = (settings: NatsSettings): Promise<Bus> =>
  settings.servers.length === 0 ? Promise.resolve(createLocalBus()) : connectNatsBus(settings);
