/** Opens a typed client to one service: deadlines, bounded retries, faults instead of gRPC errors, and a wait for the peer with a limit. */
import {
  type Client,
  type CompatServiceDefinition,
  createChannel,
  createClientFactory,
  waitForChannelReady,
} from 'nice-grpc';
import { fault } from '../errors/fault.js';
import { createClientDeadline, type DeadlineOptions } from './client-deadline.js';
import { createClientFaults } from './client-faults.js';
import { createClientRetry, DEFAULT_RETRY, type RetryOptions } from './client-retry.js';
import { type Edge, localEdge } from './edge.js';
import { channelOptions, DEFAULT_MAX_MESSAGE_BYTES } from './server-limits.js';

export interface ConnectOptions {
  /** Deadline of unary calls that name none. Streams have none unless a call names one. Default 10 minutes. */
  readonly deadlineMs?: number;
  readonly retry?: Partial<RetryOptions>;
  /** Default: the edge's, else 128 MiB. */
  readonly maxMessageBytes?: number;
  /** Certificates, token and traces of this process. Default: plain text, for loopback. */
  readonly edge?: Edge;
}

/** The client's type for a service: every method takes `{ deadlineMs?, signal?, metadata? }` as its second argument. */
export type ServiceClient<Definition extends CompatServiceDefinition> = Client<Definition, DeadlineOptions>;

export interface Connection<Definition extends CompatServiceDefinition> {
  readonly client: ServiceClient<Definition>;
  readonly address: string;
  /** Resolves once the peer accepts connections; PEER_UNAVAILABLE after `limitMs`. */
  waitUntilReady(limitMs: number): Promise<void>;
  close(): void;
}

const DEFAULT_DEADLINE_MS = 10 * 60_000;
// grpc-js waits up to two minutes between dials by default: too long for a pod that restarts.
const MAX_RECONNECT_MS = 2_000;
// A name is asked for again when a connection goes, which servers see to by their age: no more often than this.
const MIN_BETWEEN_LOOKUPS_MS = 5_000;
/** Calls take turns over all addresses of the name: a headless Service names every pod. gRPC's default keeps to the first one. */
const TAKE_TURNS = JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] });

/** `address` is "host:port", or a gRPC target such as "dns:///host:port" or "ipv4:10.0.0.1:7001,10.0.0.2:7001". Dials lazily: an absent peer shows at the first call, or at `waitUntilReady`. */
export const connect = <Definition extends CompatServiceDefinition>(
  definition: Definition,
  address: string,
  options: ConnectOptions = {},
): Connection<Definition> => {
  const { edge = localEdge } = options;
  const maxMessageBytes = options.maxMessageBytes ?? edge.limits.maxMessageBytes ?? DEFAULT_MAX_MESSAGE_BYTES;
  const channel = createChannel(address, edge.channelCredentials, {
    ...channelOptions({ maxMessageBytes }),
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': MAX_RECONNECT_MS,
    'grpc.dns_min_time_between_resolutions_ms': MIN_BETWEEN_LOOKUPS_MS,
    'grpc.service_config': TAKE_TURNS,
    // Else the name's TXT record could say otherwise, and is asked for at each look-up.
    'grpc.service_config_disable_resolution': 1,
  });
  // From the inside out: each try has its own span and carries the token of its moment.
  const around = [...edge.clientMiddleware, edge.telemetry.clientMiddleware?.(address)];
  const factory = around.reduce(
    (built, middleware) => (middleware === undefined ? built : built.use(middleware)),
    createClientFactory().use(createClientFaults(address)),
  );
  const client = factory
    .use(createClientRetry({ ...DEFAULT_RETRY, ...options.retry }))
    .use(createClientDeadline(options.deadlineMs ?? DEFAULT_DEADLINE_MS))
    .create(definition, channel);
  const waitUntilReady = async (limitMs: number) => {
    try {
      await waitForChannelReady(channel, new Date(Date.now() + limitMs));
    } catch (cause) {
      throw fault('PEER_UNAVAILABLE', `No service answered at ${address} within ${limitMs} ms. Is it running?`, {
        cause,
      });
    }
  };
  return { client, address, waitUntilReady, close: () => channel.close() };
};
