/**
 * Moves a rendered mesh to this machine: every address becomes a free port of loopback, every mounted path a folder here,
 * and streams have one copy on the one NATS server. Everything else of the environment stays as it was rendered, and nothing is added.
 */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { projectRoot } from '../../../shared/project/root.js';
import { freePort } from '../../fixtures/free-port.js';
import { type Container, environmentOf, type Manifest, NAME_LABEL, servicesOf } from '../../unit/deploy/manifest.js';

export interface Places {
  /** Folder of this run: volumes that start empty. */
  readonly scratch: string;
  readonly natsPort: number;
  /** Names of a workload's pods here: the first has the workload's own. */
  readonly podsOf: (workload: string) => readonly string[];
}

/** What to start for one container. */
export interface LoopbackProcess {
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

export class Loopback {
  private readonly ports = new Map<string, number>();

  constructor(
    private readonly manifests: readonly Manifest[],
    private readonly places: Places,
  ) {}

  /** The port here of a pod's container port; the same at every call. */
  async portOf(pod: string, port: number): Promise<number> {
    const key = `${pod}:${port}`;
    const known = this.ports.get(key) ?? (await freePort());
    this.ports.set(key, known);
    return known;
  }

  async processOf(pod: string, container: Container): Promise<LoopbackProcess> {
    const environment: Record<string, string> = {};
    for (const [name, value] of Object.entries(environmentOf(container))) {
      environment[name] = await this.move(pod, container, name, value);
    }
    return { args: container.args ?? [], environment };
  }

  private async move(pod: string, container: Container, name: string, value: string): Promise<string> {
    if (value.startsWith('/')) return this.pathOf(pod, container, value);
    const nats = /^(nats|tls):\/\/nats:\d+$/.exec(value)?.[1];
    if (nats !== undefined) return `${nats}://127.0.0.1:${this.places.natsPort}`;
    // One server holds one copy; the chart's three hold three.
    if (name === 'REFUSALSCOPE_NATS_REPLICAS') return '1';
    const [, host, port] = /^([\w.-]+):(\d+)$/.exec(value) ?? [];
    if (host === undefined) return value;
    if (name.endsWith('_LISTEN')) return `127.0.0.1:${await this.portOf(pod, Number(port))}`;
    const service = servicesOf(this.manifests).find(({ metadata }) => metadata.name === host.split('.')[0]);
    const target = service?.spec.selector[NAME_LABEL];
    return target === undefined ? value : this.addressOf(target, Number(port));
  }

  /** What a headless Service's name would lead to: the address of every pod. */
  private async addressOf(workload: string, port: number): Promise<string> {
    const addresses: string[] = [];
    for (const pod of this.places.podsOf(workload)) addresses.push(`127.0.0.1:${await this.portOf(pod, port)}`);
    return addresses.length === 1 ? addresses[0]! : `ipv4:${addresses.join(',')}`;
  }

  /** The image is this project; the model volume is the cache of whoever runs this; other volumes are folders of this run. */
  private pathOf(pod: string, container: Container, path: string): string {
    if (path.startsWith('/app/')) return join(projectRoot, path.slice('/app/'.length));
    const mount = container.volumeMounts?.find(({ mountPath }) => `${path}/`.startsWith(`${mountPath}/`));
    if (mount === undefined) return path;
    const below = path.slice(mount.mountPath.length);
    if (mount.name === 'models') return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), below);
    return join(this.places.scratch, pod, mount.name, below);
  }
}
