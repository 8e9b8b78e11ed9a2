/**
 * The connection to NATS: opened within a limit, then kept for ever. Prevents: a service that gives up for good because its server was
 * restarted, and one that hangs at its start without a word.
 */
import { readFileSync } from 'node:fs';
import { type ConnectionOptions, connect, credsAuthenticator, type NatsConnection } from '@nats-io/transport-node';
import { fault } from '../../errors/fault.js';
import { inboxPrefixOf } from '../subjects.js';
import { sleep } from '../wake-up.js';
import type { NatsSettings } from './nats-settings.js';

const FIRST_CONNECTION_MS = 30_000;
const ATTEMPT_MS = 5_000;
const PAUSE_MS = 250;

/** @throws PEER_UNAVAILABLE, with the servers (never their passwords), when none answers in time. */
export const openConnection = async (settings: NatsSettings): Promise<NatsConnection> => {
  const deadline = performance.now() + (settings.connectLimitMs ?? FIRST_CONNECTION_MS);
  for (;;) {
    try {
      return await connect(connectionOptions(settings));
    } catch (thrown) {
      if (performance.now() + PAUSE_MS >= deadline) throw notReached(settings, thrown);
    }
    await sleep(PAUSE_MS);
  }
};

const connectionOptions = (settings: NatsSettings): ConnectionOptions => {
  const { credentialsFile, tls } = settings;
  return {
    servers: [...settings.servers],
    name: settings.clientName ?? 'refusalscope',
    inboxPrefix: inboxPrefixOf(settings.clientName ?? 'refusalscope'),
    timeout: ATTEMPT_MS,
    reconnect: true,
    maxReconnectAttempts: -1,
    reconnectTimeWait: PAUSE_MS,
    reconnectJitter: PAUSE_MS,
    reconnectJitterTLS: PAUSE_MS,
    // Credentials may be rotated while the server is away: a refusal is tried again as well.
    ignoreAuthErrorAbort: true,
    // A stack trace for every request costs more than the request.
    noAsyncTraces: true,
    // Two lost pings: a server that vanished without closing its socket is noticed after 15 s.
    pingInterval: 5_000,
    maxPingOut: 2,
    ...(settings.user === undefined ? {} : { user: settings.user, pass: settings.password ?? '' }),
    ...(credentialsFile === undefined
      ? {}
      : { authenticator: credsAuthenticator(() => readFileSync(credentialsFile)) }),
    ...(tls === undefined ? {} : { tls: { ...tls } }),
  };
};

const notReached = ({ servers }: NatsSettings, cause: unknown): Error => {
  const shown = servers.map((server) => server.replace(/\/\/[^@/]*@/, '//')).join(', ');
  const why = cause instanceof Error ? cause.message : 'unknown cause';
  return fault('PEER_UNAVAILABLE', `No NATS server answers at ${shown} (${why}): start one, or check the address.`, {
    cause,
  });
};
