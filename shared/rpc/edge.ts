/**
 * Everything that surrounds a process's calls, in and out: who may call, over which certificates, within which limits, seen by which
 * traces. Opened once at the start from the settings; services hand it on to `startServer` and `connect` and know no more of it.
 */
import type { ChannelCredentials, ServerCredentials } from '@grpc/grpc-js';
import type { ClientMiddleware, ServerMiddleware } from 'nice-grpc';
import type { EditLog } from '../security/edit-log.js';
import { silentTelemetry, type Telemetry } from '../telemetry/telemetry.js';
import type { RequestContext } from './request-log.js';
import type { ServerLimits } from './server-limits.js';

export interface Edge {
  readonly telemetry: Telemetry;
  /** Absent: plain text, which is for loopback alone. */
  readonly serverCredentials?: ServerCredentials;
  readonly channelCredentials?: ChannelCredentials;
  /** Run inside error mapping: authorization, the audit log. */
  readonly serverMiddleware: readonly ServerMiddleware<object, RequestContext>[];
  /** Run around each try of a call: the token of this process. */
  readonly clientMiddleware: readonly ClientMiddleware[];
  /** For edits that come in another way than by a call; calls are in it by themselves. Absent: no audit log. */
  readonly editLog?: EditLog;
  readonly limits: Partial<ServerLimits>;
  /** How long running calls may go on after a stop. */
  readonly graceMs?: number;
  /** Whether callers must prove who they are. */
  readonly authenticates: boolean;
  /** Whether a person has said that this process may listen beyond loopback without authentication. */
  readonly allowsInsecure: boolean;
  /** "host:port" of a plain server that answers health checks and nothing else, for probes that know no TLS. */
  readonly healthListen?: string;
}

/** Loopback and nothing around it: tests, and the services inside one process. */
export const localEdge: Edge = {
  telemetry: silentTelemetry,
  serverMiddleware: [],
  clientMiddleware: [],
  limits: {},
  authenticates: false,
  allowsInsecure: false,
};
