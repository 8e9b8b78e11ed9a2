/** The settings of the bus, shared by the services that use it. No server named: no bus, and everything goes by gRPC and disk. */

import type { NatsSettings } from '../bus/nats/nats-settings.js';
import { type SettingsOf, secretText, textList, z } from '../config/load-config.js';
import type { EdgeSettings } from './edge-settings.js';

export const BUS_SHAPE = {
  REFUSALSCOPE_NATS_SERVERS: textList().prefault(''),
  REFUSALSCOPE_NATS_NAMESPACE: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,100}$/, 'must have 1 to 100 letters, digits, "_" or "-"')
    .prefault('refusal'),
  REFUSALSCOPE_NATS_CREDENTIALS: z.string().optional(),
  REFUSALSCOPE_NATS_USER: z.string().optional(),
  REFUSALSCOPE_NATS_PASSWORD: secretText().optional(),
  REFUSALSCOPE_NATS_REPLICAS: z.enum(['1', '3', '5']).transform(Number).prefault('1'),
};

export type BusSettings = SettingsOf<typeof BUS_SHAPE>;

/** What `openBus` takes, but for who asks. */
export type BusConfig = Omit<NatsSettings, 'logger' | 'clientName' | 'shares'>;

/** Undefined: no server is named. A tls:// server is spoken to with the certificates of the edge. */
export const busConfigOf = (settings: BusSettings & EdgeSettings): BusConfig | undefined => {
  const servers = settings.REFUSALSCOPE_NATS_SERVERS;
  if (servers.length === 0) return undefined;
  return {
    servers,
    namespace: settings.REFUSALSCOPE_NATS_NAMESPACE,
    replicas: settings.REFUSALSCOPE_NATS_REPLICAS,
    ...given('credentialsFile', settings.REFUSALSCOPE_NATS_CREDENTIALS),
    ...given('user', settings.REFUSALSCOPE_NATS_USER),
    ...given('password', settings.REFUSALSCOPE_NATS_PASSWORD),
    ...(servers.some((server) => server.startsWith('tls://')) && {
      tls: {
        ...given('caFile', settings.REFUSALSCOPE_TLS_CA),
        ...given('certFile', settings.REFUSALSCOPE_TLS_CERT),
        ...given('keyFile', settings.REFUSALSCOPE_TLS_KEY),
      },
    }),
  };
};

const given = <Name extends string, Value>(name: Name, value: Value | undefined) =>
  (value === undefined ? {} : { [name]: value }) as { readonly [Key in Name]?: Value };
