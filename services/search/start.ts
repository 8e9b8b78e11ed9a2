/** Starts the search service: connections to its two peers, its handlers, its server. Everything it needs is an argument, so that a process may hold several. */
import type { ServerMiddleware } from 'nice-grpc';
import { InferenceServiceDefinition } from '../../proto/gen/refusalscope/v1/inference.js';
import { SaeServiceDefinition } from '../../proto/gen/refusalscope/v1/sae.js';
import { openBus } from '../../shared/bus/open-bus.js';
import { type Logger, silentLogger } from '../../shared/log/create-logger.js';
import type { BusConfig } from '../../shared/process/bus-settings.js';
import { auditScope } from '../../shared/rpc/caller-header.js';
import { connect } from '../../shared/rpc/connect.js';
import { type Edge, localEdge } from '../../shared/rpc/edge.js';
import type { ServerLimits } from '../../shared/rpc/server-limits.js';
import { startServer } from '../../shared/rpc/start-server.js';
import { createEndpointJudge, type EndpointJudgeConfig } from './judge/endpoint-judge.js';
import { createStageObserver } from './observe-stages.js';
import { createSearchService } from './service.js';
import { createBulkModel } from './wire/bulk-model.js';
import { createInferenceModel } from './wire/inference-client.js';
import { createSaeSource } from './wire/sae-client.js';

export interface SearchServiceConfig {
  /** "host:port" of the peers; they may start later, calls fail with PEER_UNAVAILABLE until then. */
  readonly inferenceAddress: string;
  readonly saeAddress: string;
  /** "host:port"; port 0 picks a free one. */
  readonly listen: string;
  /** Evaluations that the scoring of directions may spend, about. */
  readonly directionBudget?: number;
  /** A classifier that judges answers under a set. Default: the built-in phrases, and no answer leaves. */
  readonly judge?: EndpointJudgeConfig;
  /** Where evaluations are queued for all inference pods; absent: they are asked for by gRPC. */
  readonly bus?: BusConfig | undefined;
  readonly logger?: Logger;
  readonly limits?: Partial<ServerLimits>;
  readonly middleware?: readonly ServerMiddleware[];
  /** Certificates, authorization, limits and traces. Default: loopback alone. */
  readonly edge?: Edge;
}

export interface RunningSearchService {
  readonly address: string;
  stop(): Promise<void>;
}

/** Resolves once the server listens. Throws CONFIG_INVALID if it cannot. */
export const startSearchService = async (config: SearchServiceConfig): Promise<RunningSearchService> => {
  const { edge = localEdge } = config;
  const judge = config.judge === undefined ? undefined : createEndpointJudge(config.judge);
  const inference = connect(InferenceServiceDefinition, config.inferenceAddress, { edge });
  const sae = connect(SaeServiceDefinition, config.saeAddress, { edge });
  const { logger = silentLogger } = config;
  const bus = config.bus && (await openBus({ ...config.bus, logger, clientName: 'search', shares: ['blobs'] }));
  const close = async () => {
    inference.close();
    sae.close();
    await bus?.close();
  };
  const direct = createInferenceModel(inference.client);
  const peers = {
    model: bus === undefined ? direct : createBulkModel(direct, inference.client, { bus, telemetry: edge.telemetry }),
    saes: createSaeSource(sae.client),
    ...(judge !== undefined && { judge }),
    ...(config.directionBudget !== undefined && { directionBudget: config.directionBudget }),
  };
  try {
    const server = await startServer({
      address: config.listen,
      services: [createSearchService(peers)],
      logger,
      ...(config.limits && { limits: config.limits }),
      edge,
      middleware: [auditScope, createStageObserver(edge.telemetry.metrics), ...(config.middleware ?? [])],
    });
    const stop = async () => {
      await server.stop();
      await close();
    };
    return { address: server.address, stop };
  } catch (problem) {
    await close();
    throw problem;
  }
};
