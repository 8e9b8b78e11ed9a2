/** Starts the coordinator: peers, store, audits, gRPC, and the console if it has an address. Stops them in the opposite order. */
import { homedir, hostname } from 'node:os';
import { join } from 'node:path';
import { CoordinatorServiceDefinition } from '../../proto/gen/refusalscope/v1/coordinator.js';
import { openBus } from '../../shared/bus/open-bus.js';
import { createLogger, type Logger } from '../../shared/log/create-logger.js';
import type { BusConfig } from '../../shared/process/bus-settings.js';
import { type Edge, localEdge } from '../../shared/rpc/edge.js';
import { assertConsoleMayListen } from '../../shared/rpc/listen-policy.js';
import { bindService, startServer } from '../../shared/rpc/start-server.js';
import { startConsole } from '../console/start-console.js';
import { Audits } from './audit/audits.js';
import { createAuditReader } from './audit-reader.js';
import { openPeers, type PeerAddresses } from './peers/open-peers.js';
import { createCoordinatorService } from './service.js';
import { BusAuditStore } from './store/bus-audit-store.js';
import { FileAuditStore } from './store/file-audit-store.js';

export interface CoordinatorConfig extends PeerAddresses {
  /** "host:port"; port 0 picks a free one. */
  readonly listen: string;
  /** Where checkpoints, events and leases live; absent: in `stateDir`. */
  readonly bus?: BusConfig | undefined;
  /** How long a dead coordinator's lease of an audit stands, on the bus. Default 10 s. */
  readonly leaseTermMs?: number;
  /** Checkpoints live in its subfolder audits/. */
  readonly stateDir: string;
  /** "host:port" of the console's web pages; absent: no console. */
  readonly consoleListen?: string | undefined;
  /** Prompts of one audit worked on at once. Default 4. */
  readonly concurrency?: number | undefined;
  /** How long an audit waits for a peer at its start. Default 60 s. */
  readonly peerWaitMs?: number;
  readonly logger?: Logger;
  /** Certificates, authorization, limits and traces. Default: loopback alone. */
  readonly edge?: Edge;
  /** The command that runs this process, for the report. */
  readonly commandLine?: string;
  readonly createId?: () => string;
}

export interface RunningCoordinator {
  readonly address: string;
  /** The console's page, such as "http://127.0.0.1:43121/"; absent without one. */
  readonly consoleAddress?: string;
  /** Ends running audits at a checkpoint. */
  stop(): Promise<void>;
}

const DEFAULT_CONCURRENCY = 4;
const DEFAULT_LEASE_TERM_MS = 10_000;
const DEFAULT_PEER_WAIT_MS = 60_000;

/** $REFUSALSCOPE_STATE_DIR, else $XDG_STATE_HOME/refusalscope, else ~/.local/state/refusalscope. */
export const defaultStateDir = (env: NodeJS.ProcessEnv = process.env): string =>
  env.REFUSALSCOPE_STATE_DIR ||
  join(env.XDG_STATE_HOME || join(env.HOME || homedir(), '.local', 'state'), 'refusalscope');

export const startCoordinatorService = async (config: CoordinatorConfig): Promise<RunningCoordinator> => {
  const logger = config.logger ?? createLogger('coordinator');
  const { edge = localEdge, consoleListen } = config;
  if (consoleListen !== undefined) assertConsoleMayListen(consoleListen, edge);
  const own = { logger, clientName: 'coordinator', shares: ['events'] as const };
  const bus = config.bus && (await openBus({ ...config.bus, ...own }));
  const termMs = config.leaseTermMs ?? DEFAULT_LEASE_TERM_MS;
  const store =
    bus === undefined
      ? new FileAuditStore(join(config.stateDir, 'audits'))
      : await BusAuditStore.open(bus, { holder: `${hostname()}/${process.pid}`, termMs });
  const peers = openPeers(config, edge);
  const audits = await Audits.open({
    store,
    peers,
    logger,
    telemetry: edge.telemetry,
    concurrency: config.concurrency ?? DEFAULT_CONCURRENCY,
    peerWaitMs: config.peerWaitMs ?? DEFAULT_PEER_WAIT_MS,
    ...(config.commandLine !== undefined && { commandLine: config.commandLine }),
    ...(config.createId && { createId: config.createId }),
  });
  const services = [bindService(CoordinatorServiceDefinition, createCoordinatorService(audits))];
  const server = await startServer({ address: config.listen, services, logger, edge });
  const pages =
    consoleListen === undefined
      ? undefined
      : await startConsole({
          listen: consoleListen,
          audits: createAuditReader(audits),
          onDefect: (cause, requestId) => logger.error({ err: cause, requestId }, 'console page failed'),
        });
  const stop = async () => {
    await pages?.stop();
    await audits.stop();
    await server.stop();
    peers.close();
    await bus?.close();
  };
  return { address: server.address, ...(pages && { consoleAddress: pages.address }), stop };
};
