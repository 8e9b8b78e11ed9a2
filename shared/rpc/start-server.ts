/**
 * Starts a gRPC server with everything a service of ours needs around its handlers: health by service name, reflection, limits,
 * error mapping and request log. Prevents: a service that forgets one of them.
 */
import {
  type CompatServiceDefinition,
  createServer,
  type Server,
  type ServerAddBuilder,
  type ServerMiddleware,
  type ServiceImplementation,
} from 'nice-grpc';
import { HealthDefinition, HealthServiceImpl, HealthState } from 'nice-grpc-server-health';
import { fault } from '../errors/fault.js';
import type { Logger } from '../log/create-logger.js';
import { createCallLimits } from './call-limits.js';
import { refuseUndecodable, withDecodableRequests } from './decodable-requests.js';
import { type Edge, localEdge } from './edge.js';
import { createErrorMapping } from './error-mapping.js';
import { assertMayListen } from './listen-policy.js';
import { createReflection } from './reflection.js';
import { createRequestLog, type RequestContext } from './request-log.js';
import { channelOptions, DEFAULT_LIMITS, type ServerLimits } from './server-limits.js';

export type { ServerMiddleware } from 'nice-grpc';

/** A service definition with its handlers; make it with `bindService` so that the types are checked. */
export interface BoundService {
  readonly fullName: string;
  addTo(server: ServerAddBuilder<RequestContext>): void;
}

/** What a service of ours implements: nice-grpc's handler types with our context. */
export type ServiceHandlers<Definition extends CompatServiceDefinition> = ServiceImplementation<
  Definition,
  RequestContext
>;

type NamedDefinition = CompatServiceDefinition & { readonly fullName: string };

export const bindService = <Definition extends NamedDefinition>(
  definition: Definition,
  implementation: ServiceHandlers<Definition>,
): BoundService => ({
  fullName: definition.fullName,
  addTo: (server) => server.add(withDecodableRequests(definition), implementation),
});

export interface ServerOptions {
  /** "host:port"; port 0 picks a free one. */
  readonly address: string;
  readonly services: readonly BoundService[];
  readonly logger: Logger;
  readonly limits?: Partial<ServerLimits>;
  /** Certificates, authorization, limits and traces of this process. Default: loopback alone. */
  readonly edge?: Edge;
  /** Run inside error mapping, after those of the edge. */
  readonly middleware?: readonly ServerMiddleware[];
  /** Health at the start; false for a service that must load first and then calls `setServing`. Default true. */
  readonly serving?: boolean;
}

export interface RunningServer {
  readonly port: number;
  /** "host:port" that a client on this machine can dial. */
  readonly address: string;
  /** Health of one service by its full name, or of the whole process with ''. */
  setServing(serviceName: string, serving: boolean): void;
  /** Readiness of the process and all its services at once. */
  setReady(ready: boolean): void;
  /** Health of the name "liveness": false means that only a new process can help. */
  setAlive(alive: boolean): void;
  /** Refuses new calls, lets running ones end for at most `graceMs` (default: the edge's, else 5 s), then cancels them. */
  stop(graceMs?: number): Promise<void>;
}

const DEFAULT_GRACE_MS = 5_000;
const PROBE_MESSAGE_BYTES = 4096;

/** What a liveness probe asks for: readiness goes away while a service drains or waits, and that is no reason to kill it. */
export const LIVENESS = 'liveness';

/** Throws CONFIG_INVALID if it cannot or may not listen on its address. */
export const startServer = async (options: ServerOptions): Promise<RunningServer> => {
  const { edge = localEdge } = options;
  assertMayListen(options.address, edge);
  const stopping = new AbortController();
  const health = HealthState();
  const names = ['', ...options.services.map((service) => service.fullName)];
  const setServing = (name: string, serving: boolean) => health.setStatus(serving ? 'healthy' : 'unhealthy', name);
  const setReady = (ready: boolean) => {
    for (const name of names) setServing(name, ready);
  };
  setReady(options.serving ?? true);
  setServing(LIVENESS, true);

  const server = buildServer(options, edge, health, stopping.signal);
  const port = await listen(server, options.address, edge);
  const probes = await startProbes(options, edge, health, stopping.signal).catch((thrown: unknown) => {
    server.forceShutdown();
    throw thrown;
  });
  const stop = async (graceMs = edge.graceMs ?? DEFAULT_GRACE_MS) => {
    setReady(false);
    stopping.abort();
    const timer = setTimeout(() => server.forceShutdown(), graceMs);
    await server.shutdown().finally(() => clearTimeout(timer));
    probes?.forceShutdown();
  };
  const setAlive = (alive: boolean) => setServing(LIVENESS, alive);
  return { port, address: dialable(options.address, port), setServing, setReady, setAlive, stop };
};

const HEALTH_NAME = 'grpc.health.v1.Health';

const buildServer = (
  options: ServerOptions,
  edge: Edge,
  health: HealthState,
  stopping: AbortSignal,
): Server<RequestContext> => {
  const limits = { ...DEFAULT_LIMITS, ...edge.limits, ...options.limits };
  const { serverMiddleware: tracing } = edge.telemetry;
  const bare = createServer(channelOptions(limits));
  const server = (tracing === undefined ? bare : bare.use(tracing))
    .use(createRequestLog(options.logger, stopping))
    .use(createErrorMapping(options.logger));
  // Probes and reflection need no token: they stay outside the optional middleware.
  server.with(endWhenStopping).add(HealthDefinition, HealthServiceImpl(health));
  const reflection = createReflection([HEALTH_NAME, ...options.services.map((service) => service.fullName)]);
  for (const definition of reflection.definitions) {
    server.with(endWhenStopping).add(definition, reflection.implementation);
  }
  const guarded = server.with(createCallLimits(limits)).with(refuseUndecodable);
  const inner = withAll(guarded, [...edge.serverMiddleware, ...(options.middleware ?? [])]);
  for (const service of options.services) service.addTo(inner);
  return server;
};

/** Health alone, in plain text, where the edge asks for it: Kubernetes' own gRPC probes know no TLS. */
const startProbes = async (
  options: ServerOptions,
  edge: Edge,
  health: HealthState,
  stopping: AbortSignal,
): Promise<Server<RequestContext> | undefined> => {
  if (edge.healthListen === undefined) return undefined;
  const server = createServer(channelOptions({ maxMessageBytes: PROBE_MESSAGE_BYTES }))
    .use(createRequestLog(options.logger, stopping))
    .use(createErrorMapping(options.logger));
  server.with(endWhenStopping).add(HealthDefinition, HealthServiceImpl(health));
  await listen(server, edge.healthListen, localEdge);
  return server;
};

const withAll = (
  server: ServerAddBuilder<RequestContext>,
  middleware: readonly ServerMiddleware<object, RequestContext>[],
): ServerAddBuilder<RequestContext> =>
  middleware.reduce<ServerAddBuilder<RequestContext>>((builder, next) => builder.with(next), server);

/** Lets the endless streams of health and reflection end at a stop, so that they do not use up the grace time. */
const endWhenStopping: ServerMiddleware<object, RequestContext> = async function* endWhenStopping(call, context) {
  const signal = AbortSignal.any([context.signal, context.stopping]);
  return yield* call.next(call.request, { ...context, signal });
};

const listen = async (
  server: Server<RequestContext>,
  address: string,
  { serverCredentials }: Pick<Edge, 'serverCredentials'>,
): Promise<number> => {
  try {
    return await server.listen(address, serverCredentials);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw fault('CONFIG_INVALID', `Cannot listen on ${address}: ${reason}. Choose a free port, or port 0 for any.`, {
      cause,
    });
  }
};

const dialable = (address: string, port: number): string => {
  const host = address.slice(0, address.lastIndexOf(':'));
  return `${host === '0.0.0.0' || host === '[::]' || host === '' ? '127.0.0.1' : host}:${port}`;
};
