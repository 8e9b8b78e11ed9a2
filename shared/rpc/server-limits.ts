/** Limits of a server and a channel, each said out loud: gRPC's own defaults (4 MiB messages, no keepalive) do not fit tensors. */
import type { ChannelOptions } from 'nice-grpc';

export interface ServerLimits {
  /** Longest message in either direction, in bytes. */
  readonly maxMessageBytes: number;
  /** Calls that may run at once on one connection. */
  readonly maxConcurrentStreams: number;
  /** Silence after which a ping is sent, and how long its answer may take. */
  readonly keepaliveTimeMs: number;
  readonly keepaliveTimeoutMs: number;
  /** A connection older than this takes no new calls, so that load spreads over new pods; running ones end on it. 0: no limit. */
  readonly maxConnectionAgeMs: number;
  /** Calls that run at once over all connections; beyond: BUSY. */
  readonly maxCalls: number;
  /** How long a call may go on; beyond: DEADLINE. 0: no limit, as a watched audit lasts as long as it lasts. */
  readonly maxCallMs: number;
}

export const DEFAULT_MAX_MESSAGE_BYTES = 128 * 1024 * 1024;

export const DEFAULT_LIMITS: ServerLimits = {
  maxMessageBytes: DEFAULT_MAX_MESSAGE_BYTES,
  maxConcurrentStreams: 1000,
  keepaliveTimeMs: 30_000,
  keepaliveTimeoutMs: 20_000,
  maxConnectionAgeMs: 0,
  maxCalls: 4096,
  maxCallMs: 0,
};

export const channelOptions = (limits: Partial<ServerLimits> = {}): ChannelOptions => {
  const full = { ...DEFAULT_LIMITS, ...limits };
  return {
    'grpc.max_receive_message_length': full.maxMessageBytes,
    'grpc.max_send_message_length': full.maxMessageBytes,
    'grpc.max_concurrent_streams': full.maxConcurrentStreams,
    'grpc.keepalive_time_ms': full.keepaliveTimeMs,
    'grpc.keepalive_timeout_ms': full.keepaliveTimeoutMs,
    'grpc.keepalive_permit_without_calls': 1,
    // Without a grace time: what runs on an old connection ends in peace, be it a search of hours.
    ...(full.maxConnectionAgeMs > 0 && { 'grpc.max_connection_age_ms': full.maxConnectionAgeMs }),
  };
};
