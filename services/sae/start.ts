/** Starts the SAE service: its thread, its handlers, its server. Everything it needs is an argument, so that a process may hold several. */
import type { ServerMiddleware } from 'nice-grpc';
import { type Logger, silentLogger } from '../../shared/log/create-logger.js';
import { type Edge, localEdge } from '../../shared/rpc/edge.js';
import type { ServerLimits } from '../../shared/rpc/server-limits.js';
import { startServer } from '../../shared/rpc/start-server.js';
import { WeightDigests } from '../../shared/tensor-files/weight-digests.js';
import { startJobThread } from '../../shared/threads/start-job-thread.js';
import type { SaeChoice } from './find-saes.js';
import { createSaeService } from './service.js';
import type { Jobs } from './thread/thread-messages.js';

export interface SaeServiceConfig {
  /** Folders of SAEs, or folders that hold such folders; one SAE a layer. */
  readonly saeDirs: readonly string[];
  /** "host:port"; port 0 picks a free one. */
  readonly listen: string;
  /** Memory for weights that were read, over all SAEs. Default 512 MiB. */
  readonly cacheBytes?: number;
  /** Which SAE of a layer, where a release has several. */
  readonly choice?: SaeChoice;
  /** Where digests of weight files are kept; absent: in memory alone. */
  readonly digestDir?: string;
  readonly logger?: Logger;
  readonly limits?: Partial<ServerLimits>;
  readonly middleware?: readonly ServerMiddleware[];
  /** Certificates, authorization, limits and traces. Default: loopback alone. */
  readonly edge?: Edge;
}

export interface RunningSaeService {
  readonly address: string;
  stop(): Promise<void>;
}

/** Calls that may wait for the thread at once. */
const MAX_JOBS = 256;
const DEFAULT_CACHE_BYTES = 512 << 20;

/** Resolves once the SAEs are found and the server listens. Throws CONFIG_INVALID and the faults of unusable SAE folders. */
export const startSaeService = async (config: SaeServiceConfig): Promise<RunningSaeService> => {
  const { saeDirs, listen, cacheBytes = DEFAULT_CACHE_BYTES, choice = {}, logger = silentLogger } = config;
  const { edge = localEdge } = config;
  let onThreadEnd: (problem: Error) => void = () => {};
  const thread = await startJobThread<Jobs>({
    entry: new URL('./thread/sae-thread.js', import.meta.url),
    name: 'sae',
    data: { saeDirs, choice, cacheBytes },
    maxJobs: MAX_JOBS,
    onEnd: (problem) => onThreadEnd(problem),
  });
  const service = createSaeService(thread, new WeightDigests(config.digestDir));
  try {
    const server = await startServer({
      address: listen,
      services: [service],
      logger,
      ...(config.limits && { limits: config.limits }),
      edge,
      ...(config.middleware && { middleware: config.middleware }),
    });
    onThreadEnd = (problem) => {
      logger.error({ err: problem }, 'the SAE thread ended');
      server.setReady(false);
      server.setAlive(false);
    };
    return {
      address: server.address,
      stop: async () => {
        await server.stop();
        await thread.stop();
      },
    };
  } catch (problem) {
    await thread.stop();
    throw problem;
  }
};
