/**
 * Runs the mesh that an overlay renders, here: one Node process a container with the environment of its manifest, a real nats-server, the
 * init containers and the Job first, and each probe asked as the kubelet would ask it.
 */

import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../fixtures/free-port.js';
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
import { Loopback } from './loopback.js';
import { readQueueLag } from './queue-lag.js';

export interface RenderedMeshOptions {
  readonly overlay: string;
  /** Pods of inference, as an autoscaler would have set them. Default 1. */
  readonly inferencePods?: number;
  /** Told of each step. */
  readonly say?: (line: string) => void;
  readonly signal?: AbortSignal;
}

/** In the order in which they need each other, so that logs read well; a cluster starts them all at once. */
const ORDER = ['inference', 'sae', 'search', 'fm', 'coordinator'];

/** One pod of a workload, under a name of its own here: "inference", "inference-2". */
interface Pod {
  readonly name: string;
  readonly workload: Workload;
}

const podNames =
  (inferencePods: number) =>
  (workload: string): string[] =>
    Array.from({ length: workload === 'inference' ? inferencePods : 1 }, (_, i) =>
      i === 0 ? workload : `${workload}-${i + 1}`,
    );

export class RenderedMesh {
  private readonly ended = new AbortController();

  private pods: readonly Pod[] = [];

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
  static async start({
    overlay,
    inferencePods = 1,
    say = () => undefined,
    signal,
  }: RenderedMeshOptions): Promise<RenderedMesh> {
    const manifests = renderOverlay(overlay);
    const scratch = await mkdtemp(join(tmpdir(), 'refusalscope-cluster-'));
    const secrets = await LocalSecrets.make(manifests, join(scratch, 'certificates'));
    const monitor = `127.0.0.1:${await freePort()}`;
    const nats = await startNatsServer({ configuration: `http: "${monitor}"\n${await secrets.natsConfiguration()}` });
    const podsOf = podNames(inferencePods);
    const loopback = new Loopback(manifests, { scratch, natsPort: nats.port, podsOf });
    const children = new ChildProcesses(join(scratch, 'logs'));
    const mesh = new RenderedMesh(manifests, nats, scratch, loopback, children, secrets, monitor, say);
    process.once('exit', () => children.killAll());
    signal?.addEventListener('abort', () => mesh.ended.abort(new Error('stopped before the mesh was ready')));
    try {
      await mesh.startAll(podsOf);
      return mesh;
    } catch (thrown) {
      await mesh.stop();
      throw thrown;
    }
  }

  /** "host:port" here of a pod's port. */
  async addressOf(pod: string, port: number): Promise<string> {
    return `127.0.0.1:${await this.loopback.portOf(pod, port)}`;
  }

  /** kill -9 of a pod's container, and its start again, as the kubelet does. Resolves once its probes answer. */
  async killPod(name: string): Promise<void> {
    const pod = this.pods.find((one) => one.name === name);
    if (pod === undefined) throw new Error(`there is no pod ${name}`);
    await this.children.kill(name);
    await this.startContainer(pod);
    await this.untilReady(pod);
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

  private async startAll(podsOf: (workload: string) => readonly string[]): Promise<void> {
    for (const job of workloadsOf(this.manifests).filter(({ kind }) => kind === 'Job')) {
      const pod = { name: job.metadata.name, workload: job };
      await this.runToEnd(pod, mainContainerOf(job), { PATH: process.env.PATH ?? '' });
    }
    const servers = serversOf(this.manifests);
    servers.sort((a, b) => ORDER.indexOf(a.metadata.name) - ORDER.indexOf(b.metadata.name));
    this.pods = servers.flatMap((workload) => podsOf(workload.metadata.name).map((name) => ({ name, workload })));
    for (const pod of this.pods) {
      this.ended.signal.throwIfAborted();
      for (const container of podOf(pod.workload).initContainers ?? []) await this.runToEnd(pod, container, {});
      await this.startContainer(pod);
    }
    await Promise.all(this.pods.map((pod) => this.untilReady(pod)));
  }

  private async startContainer(pod: Pod): Promise<void> {
    const process = await this.processOf(pod, mainContainerOf(pod.workload));
    await this.children.start(pod.name, process, (why) => this.ended.abort(new Error(why)));
  }

  /** @param more what only the Job needs: it fetches with the commands of this machine */
  private async runToEnd(pod: Pod, container: Container, more: Record<string, string>): Promise<void> {
    const { args, environment } = await this.processOf(pod, container);
    const code = await this.children.runToEnd(container.name, { args, environment: { ...environment, ...more } });
    if (code !== 0) throw new Error(`${container.name} ended with exit code ${code}`);
    this.say(`${container.name}: done`);
  }

  private async processOf({ name: podName, workload }: Pod, container: Container) {
    const folderOf = (volume: string): string => join(this.scratch, podName, volume);
    for (const { name } of container.volumeMounts ?? []) {
      if (name !== 'models') await mkdir(folderOf(name), { recursive: true });
    }
    for (const [volume, secret] of secretNamesOf(podOf(workload).volumes)) {
      await this.secrets.fill(secret, folderOf(volume));
    }
    return this.loopback.processOf(podName, container);
  }

  /** The startup probe's limit, then the readiness and liveness probes. */
  private async untilReady({ name, workload }: Pod): Promise<void> {
    const { startupProbe, readinessProbe, livenessProbe } = mainContainerOf(workload);
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

  private async answers(pod: string, { grpc }: GrpcProbe): Promise<boolean> {
    return askHealth(await this.addressOf(pod, grpc!.port), grpc!.service ?? '');
  }
}
