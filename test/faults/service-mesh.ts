/**
 * The whole mesh as processes: nats-server, inference workers, SAE, search, FM, coordinators. Every one is started from the file that
 * ships, and every one can be killed. Counts what the workers computed from their own logs.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CoordinatorServiceDefinition } from '../../proto/gen/refusalscope/v1/coordinator.js';
import { connect, type ServiceClient } from '../../shared/rpc/connect.js';
import { freePort } from '../fixtures/free-port.js';
import { type NatsServer, startNatsServer } from '../fixtures/nats/nats-server.js';
import { type LogLine, type ServiceProcess, startService } from './service-process.js';
import type { Subject } from './subject.js';

/** Shorter than in production, so that a run takes minutes and not hours; what is waited for is in proportion to them. */
export const ACK_WAIT_S = 4;
export const LEASE_S = 4;
export const NAMESPACE = 'refusal';

const CLOCK = new URL('../fixtures/nats/shifted-clock.js', import.meta.url);

export interface ProcessOptions {
  readonly nodeFlags?: readonly string[];
  /** Wall clock, against this machine's. */
  readonly clockShiftMs?: number;
  /** More settings, such as where telemetry goes. */
  readonly environment?: Readonly<Record<string, string>>;
}

export interface Coordinator {
  readonly process: ServiceProcess;
  readonly address: string;
  readonly client: ServiceClient<typeof CoordinatorServiceDefinition>;
  close(): void;
}

export interface ServiceMesh {
  readonly server: NatsServer;
  readonly subject: Subject;
  /** All that were ever started; the first one also answers calls. */
  readonly workers: readonly ServiceProcess[];
  startWorker(options?: ProcessOptions): Promise<ServiceProcess>;
  /** `stateDir`: checkpoints on disk instead of the bus. */
  startCoordinator(options?: ProcessOptions & { readonly stateDir?: string }): Promise<Coordinator>;
  /** With SIGTERM the processes end what they do and send their telemetry. Default SIGKILL. */
  close(signal?: NodeJS.Signals): Promise<void>;
}

export const startServiceMesh = async (subject: Subject, options: ProcessOptions = {}): Promise<ServiceMesh> => {
  const server = await startNatsServer();
  const folder = await mkdtemp(join(tmpdir(), 'refusalscope-mesh-'));
  const ports = { inference: await freePort(), sae: await freePort(), search: await freePort(), fm: await freePort() };
  const at = (port: number) => `127.0.0.1:${port}`;
  const shared = { REFUSALSCOPE_LOG_LEVEL: 'debug', XDG_CACHE_HOME: folder, REFUSALSCOPE_STATE_DIR: folder };
  const bus = { REFUSALSCOPE_NATS_SERVERS: server.url, REFUSALSCOPE_NATS_NAMESPACE: NAMESPACE };
  const processes: ServiceProcess[] = [];
  const workers: ServiceProcess[] = [];
  const coordinators: Coordinator[] = [];
  const start = async (service: string, own: Record<string, string>, given: ProcessOptions = options) => {
    const { nodeFlags = [], clockShiftMs = options.clockShiftMs ?? 0, environment: more = options.environment } = given;
    const environment = { ...shared, ...own, ...more, CLOCK_SHIFT_MS: `${clockShiftMs}` };
    const flags = ['--import', CLOCK.href, ...nodeFlags];
    const started = await startService(`${service} ${processes.length}`, service, environment, flags);
    processes.push(started);
    return started;
  };
  const mesh: ServiceMesh = {
    server,
    subject,
    workers,
    startWorker: async (given) => {
      const listen = at(workers.length === 0 ? ports.inference : 0);
      const own = { REFUSALSCOPE_INFERENCE_LISTEN: listen, REFUSALSCOPE_THREADS: '1', REFUSALSCOPE_CACHE_MB: '64' };
      const wait = { REFUSALSCOPE_ACK_WAIT_S: `${ACK_WAIT_S}` };
      const worker = await start('inference', { ...bus, ...own, ...wait, ...subject.modelEnvironment }, given);
      workers.push(worker);
      return worker;
    },
    startCoordinator: async ({ stateDir, ...given } = {}) => {
      const listen = at(await freePort());
      const peers = {
        REFUSALSCOPE_INFERENCE_ADDRESS: at(ports.inference),
        REFUSALSCOPE_SAE_ADDRESS: at(ports.sae),
        REFUSALSCOPE_SEARCH_ADDRESS: at(ports.search),
        REFUSALSCOPE_FM_ADDRESS: at(ports.fm),
      };
      const store = stateDir === undefined ? bus : { REFUSALSCOPE_STATE_DIR: stateDir };
      const own = { REFUSALSCOPE_COORDINATOR_LISTEN: listen, REFUSALSCOPE_LEASE_S: `${LEASE_S}` };
      const started = await start('coordinator', { ...store, ...peers, ...own }, given);
      const { client, close } = connect(CoordinatorServiceDefinition, listen);
      const coordinator = { process: started, address: listen, client, close };
      coordinators.push(coordinator);
      return coordinator;
    },
    close: async (signal = 'SIGKILL') => {
      for (const { close } of coordinators) close();
      // A frozen process hears nothing but SIGKILL.
      await Promise.all(processes.map((one) => one.kill(signal)));
      await server.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
  try {
    await mesh.startWorker();
    await Promise.all([
      mesh.startWorker(),
      start('sae', { REFUSALSCOPE_SAE_LISTEN: at(ports.sae), ...subject.saeEnvironment }),
      start('fm', { REFUSALSCOPE_FM_LISTEN: at(ports.fm) }),
      start('search', {
        ...bus,
        REFUSALSCOPE_SEARCH_LISTEN: at(ports.search),
        REFUSALSCOPE_INFERENCE_ADDRESS: at(ports.inference),
        REFUSALSCOPE_SAE_ADDRESS: at(ports.sae),
      }),
    ]);
    return mesh;
  } catch (thrown) {
    await mesh.close();
    throw thrown;
  }
};

const isBegun = ({ msg }: LogLine): boolean => msg === 'batch begun';
const isComputed = ({ msg }: LogLine): boolean => msg === 'batch computed';

/** Evaluations that the workers' engines were given from the queue. */
export const countBegun = (workers: readonly ServiceProcess[]): number =>
  workers.flatMap(({ lines }) => lines.filter(isBegun)).reduce((sum, { evaluations = 0 }) => sum + evaluations, 0);

/** Batches that a worker has begun and not ended. */
export const underWay = ({ lines }: ServiceProcess): string[] => {
  const open = new Map<string, number>();
  for (const line of lines) {
    const id = line.workId ?? '';
    if (isBegun(line)) open.set(id, (open.get(id) ?? 0) + 1);
    if (isComputed(line)) open.set(id, (open.get(id) ?? 0) - 1);
  }
  return [...open].filter(([, count]) => count > 0).map(([id]) => id);
};

/** Monotonic ms at which the last of these batches was computed by one of the workers, from `fromAt` on. */
export const untilComputed = async (
  ids: readonly string[],
  workers: () => readonly ServiceProcess[],
  fromAt: number,
  limitMs = 60_000,
): Promise<number> => {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const heard = workers().flatMap(({ lines }) => lines.filter((line) => isComputed(line) && line.at >= fromAt));
    const times = ids.map((id) => heard.find(({ workId }) => workId === id)?.at);
    if (times.every((time) => time !== undefined)) return Math.max(fromAt, ...(times as number[]));
    if (performance.now() > deadline) throw new Error(`${ids.length} batches were not computed again in time`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
};

/** The first batch that any worker ends from `fromAt` on. */
export const untilAnyComputed = async (workers: () => readonly ServiceProcess[], fromAt: number): Promise<number> => {
  const deadline = performance.now() + 120_000;
  for (;;) {
    const times = workers().flatMap(({ lines }) => lines.filter((line) => isComputed(line) && line.at >= fromAt));
    if (times.length > 0) return Math.min(...times.map(({ at }) => at));
    if (performance.now() > deadline) throw new Error('no batch was computed any more');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
};

/**
 * Freezes a worker in the middle of a batch. Gives the batches that it holds: it has begun them and, whatever is sent to it, will not end
 * them before it is woken.
 */
export const freezeMidBatch = async (worker: ServiceProcess): Promise<string[]> => {
  for (let from = performance.now(); ; from = performance.now()) {
    await worker.until(isBegun, from);
    worker.signal('SIGSTOP');
    // What it had written before it froze arrives.
    await new Promise((resolve) => setTimeout(resolve, 100));
    const held = underWay(worker);
    if (held.length > 0) return held;
    worker.signal('SIGCONT');
  }
};
