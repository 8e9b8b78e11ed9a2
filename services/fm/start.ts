/** Starts the FM service: its thread, its handlers, its server. Everything it needs is an argument, so that a process may hold several. */
import type { ServerMiddleware } from 'nice-grpc';
import { type Logger, silentLogger } from '../../shared/log/create-logger.js';
import { type Edge, localEdge } from '../../shared/rpc/edge.js';
import type { ServerLimits } from '../../shared/rpc/server-limits.js';
import { startServer } from '../../shared/rpc/start-server.js';
import { startJobThread } from '../../shared/threads/start-job-thread.js';
import { createFmService } from './service.js';
import type { Jobs } from './thread/thread-messages.js';

export interface FmServiceConfig {
  /** "host:port"; port 0 picks a free one. */
  readonly listen: string;
  /** Fits at a time, taking turns on one thread; the next is told to come back. Default 16. */
  readonly maxFits?: number;
  readonly logger?: Logger;
  readonly limits?: Partial<ServerLimits>;
  readonly middleware?: readonly ServerMiddleware[];
  /** Certificates, authorization, limits and traces. Default: loopback alone. */
  readonly edge?: Edge;
}

export interface RunningFmService {
  readonly address: string;
  stop(): Promise<void>;
}

const DEFAULT_MAX_FITS = 16;

/** Resolves once the server listens. Throws CONFIG_INVALID when it cannot. */
export const startFmService = async (config: FmServiceConfig): Promise<RunningFmService> => {
  const { listen, maxFits = DEFAULT_MAX_FITS, logger = silentLogger, edge = localEdge } = config;
  let onThreadEnd: (problem: Error) => void = () => {};
  const thread = await startJobThread<Jobs>({
    entry: new URL('./thread/fit-thread.js', import.meta.url),
    name: 'fm',
    maxJobs: maxFits,
    onEnd: (problem) => onThreadEnd(problem),
  });
  const service = createFmService(thread);
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
      logger.error({ err: problem }, 'the fit thread ended');
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
