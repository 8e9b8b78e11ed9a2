/**
 * Runs the mesh that an overlay renders, here: one Node process a container with the environment of its manifest, a real nats-server, the
 * init containers and the Job first, and each probe asked as the kubelet would ask it.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type NatsServer, startNatsServer } from '../../fixtures/nats/nats-server.js';
import {
  type Container,
  type GrpcProbe,
  type Manifest,
  mainContainerOf,
  podOf,
  scaledObjectsOf,
  serversOf,
  type Workload,
  workloadsOf,
} from '../../unit/deploy/manifest.js';
import { renderOverlay } from '../../unit/deploy/render-overlay.js';
import { askHealth } from './ask-health.js';
import { ChildProcesses } from './child-processes.js';
import { LocalSecrets, secretNamesOf } from './local-secrets.js';
import { freePort, Loopback } from './loopback.js';
import { readQueueLag } from './queue-lag.js';

export interface RenderedMeshOptions {
  readonly overlay: string;
  /** Told of each step. */
  readonly say?: (line: string) => void;
  readonly signal?: AbortSignal;
}

/** In the order in which they need each other, so that logs read well; a cluster starts them all at once. */
const ORDER = ['inference', 'sae', 'search', 'fm', 'coordinator'];

export class RenderedMesh {
  private readonly ended = new AbortController();

  private constructor(
    readonly manifests: readonly Manifest[],
    readonly nats: NatsServer,
    private readonly scratch: string,
    private readonly loopback: Loopback,
    private readonly children: ChildProcesses,
    private readonly secrets: LocalSecrets,
    private readonly natsMonitor: string,
    private readonly say: (line: string) => void,
  ) {}

  /** Resolves once every readiness probe is answered with SERVING. Throws, with all stopped, when one process cannot start. */
  static async start({ overlay, say = () => undefined, signal }: RenderedMeshOptions): Promise<RenderedMesh> {
    const manifests = renderOverlay(overlay);
    const scratch = await mkdtemp(join(tmpdir(), 'refusalscope-cluster-'));
    const secrets = await LocalSecrets.make(manifests, join(scratch, 'certificates'));
    const monitor = `127.0.0.1:${await freePort()}`;
    const nats = await startNatsServer({ configuration: `http: "${monitor}"\n${await secrets.natsConfiguration()}` });
    const loopback = new Loopback(manifests, { scratch, natsPort: nats.port });
    const children = new ChildProcesses(join(scratch, 'logs'));
    const mesh = new RenderedMesh(manifests, nats, scratch, loopback, children, secrets, monitor, say);
    process.once('exit', () => children.killAll());
    signal?.addEventListener('abort', () => mesh.ended.abort(new Error('stopped before the mesh was ready')));
    try {
      await mesh.startAll();
      return mesh;
    } catch (thrown) {
      await mesh.stop();
      throw thrown;
    }
  }

  /** "host:port" here of a workload's port. */
  async addressOf(workload: string, port: number): Promise<string> {
    return `127.0.0.1:${await this.loopback.portOf(workload, port)}`;
  }

  /** What a caller outside the mesh must bring, as settings of the command line. */
  callerEnvironment(): Promise<Record<string, string>> {
    return this.secrets.callerEnvironment();
  }

  /** What the autoscaler would see at this moment. */
  async queueLag(): Promise<number> {
    const [trigger] = scaledObjectsOf(this.manifests)[0]!.spec.triggers;
    return readQueueLag(this.natsMonitor, trigger!.metadata);
  }

  /** Aborts when a process ends by itself, with its name and its last words, and when the run is stopped. */
  get failed(): AbortSignal {
    return this.ended.signal;
  }

  async stop(): Promise<void> {
    await this.children.stopAll();
    await this.nats.close();
    this.secrets.remove();
    await rm(this.scratch, { recursive: true, force: true });
  }

  private async startAll(): Promise<void> {
    for (const job of workloadsOf(this.manifests).filter(({ kind }) => kind === 'Job')) {
      await this.runToEnd(job, mainContainerOf(job), { PATH: process.env.PATH ?? '' });
    }
    const servers = serversOf(this.manifests);
    servers.sort((a, b) => ORDER.indexOf(a.metadata.name) - ORDER.indexOf(b.metadata.name));
    for (const workload of servers) {
      this.ended.signal.throwIfAborted();
      await this.startWorkload(workload);
    }
    await Promise.all(servers.map((workload) => this.untilReady(workload)));
  }

  private async startWorkload(workload: Workload): Promise<void> {
    for (const container of podOf(workload).initContainers ?? []) await this.runToEnd(workload, container, {});
    const container = mainContainerOf(workload);
    const process = await this.processOf(workload, container);
    await this.children.start(workload.metadata.name, process, (why) => this.ended.abort(new Error(why)));
  }

  /** @param more what only the Job needs: it fetches with the commands of this machine */
  private async runToEnd(workload: Workload, container: Container, more: Record<string, string>): Promise<void> {
    const { args, environment } = await this.processOf(workload, container);
    const code = await this.children.runToEnd(container.name, { args, environment: { ...environment, ...more } });
    if (code !== 0) throw new Error(`${container.name} ended with exit code ${code}`);
    this.say(`${container.name}: done`);
  }

  private async processOf(workload: Workload, container: Container) {
    const folderOf = (volume: string): string => join(this.scratch, workload.metadata.name, volume);
    for (const { name } of container.volumeMounts ?? []) {
      if (name !== 'models') await mkdir(folderOf(name), { recursive: true });
    }
    for (const [volume, secret] of secretNamesOf(podOf(workload).volumes)) {
      await this.secrets.fill(secret, folderOf(volume));
    }
    return this.loopback.processOf(workload.metadata.name, container);
  }

  /** The startup probe's limit, then the readiness and liveness probes. */
  private async untilReady(workload: Workload): Promise<void> {
    const { startupProbe, readinessProbe, livenessProbe } = mainContainerOf(workload);
    const { name } = workload.metadata;
    const { periodSeconds = 10, failureThreshold = 3 } = startupProbe!;
    const deadline = performance.now() + periodSeconds * failureThreshold * 1000;
    const startedAt = performance.now();
    while (!(await this.answers(name, startupProbe!))) {
      this.ended.signal.throwIfAborted();
      if (performance.now() > deadline) throw new Error(`${name} did not pass its startup probe in time`);
      await sleep(250);
    }
    for (const [kind, probe] of Object.entries({ readinessProbe, livenessProbe })) {
      if (!(await this.answers(name, probe!))) throw new Error(`${name} started, but fails its ${kind}`);
    }
    this.say(`${name}: ready after ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
  }

  private async answers(workload: string, { grpc }: GrpcProbe): Promise<boolean> {
    return askHealth(await this.addressOf(workload, grpc!.port), grpc!.service ?? '');
  }
}
