/** What a manifest says to a service and about it is what the service's code knows: settings, ports, health names, paths. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { EMBEDDED_MODEL } from '../../../../shared/model-store/embedded-model.js';
import { projectRoot } from '../../../../shared/project/root.js';
import { LIVENESS } from '../../../../shared/rpc/start-server.js';
import {
  hostOf,
  isRuntimeName,
  type LoadedSettings,
  portOf,
  readDefaultListen,
  readSettings,
  SERVICES,
  serviceOfArgs,
} from '../known-settings.js';
import {
  allContainersOf,
  type Container,
  environmentOf,
  type GrpcProbe,
  type Manifest,
  mainContainerOf,
  serversOf,
  type Workload,
  workloadsOf,
} from '../manifest.js';
import { said } from './hardening.js';

const MIB = 2 ** 20;
export const BUS_SETTING = 'REFUSALSCOPE_NATS_SERVERS';

export const settingsFaults = (manifests: readonly Manifest[]): string[] => [
  ...missingServices(manifests),
  ...serversOf(manifests).flatMap(serverFaults),
  ...workloadsOf(manifests).flatMap((workload) =>
    allContainersOf(workload).flatMap((container) => pathFaults(workload, container)),
  ),
];

const missingServices = (manifests: readonly Manifest[]): string[] => {
  const running = serversOf(manifests).map((workload) => serviceOfArgs(mainContainerOf(workload).args));
  return Object.keys(SERVICES)
    .filter((name) => !running.includes(name))
    .map((name) => `no workload runs ${name}`);
};

const serverFaults = (workload: Workload): string[] => {
  const container = mainContainerOf(workload);
  const about = `${workload.kind} ${workload.metadata.name}/${container.name}`;
  const service = serviceOfArgs(container.args);
  if (service === undefined) return [`${about}: ${String(container.args)} runs no service`];
  const environment = environmentOf(container);
  const { settings, fault, names } = readSettings(service, environment);
  const unknown = Object.keys(environment).filter((name) => !names.has(name) && !isRuntimeName(name));
  return [
    ...unknown.map((name) => `${about}: the config of ${service} does not know ${name}`),
    ...doubled(container).map((name) => `${about}: ${name} is set twice`),
    ...(settings === undefined
      ? [`${about}: the service would not start: ${fault}`]
      : [
          ...portFaults(about, service, container, settings),
          ...sizeFaults(about, container, settings),
          ...busFaults(workload, environment, names),
        ]),
  ];
};

const doubled = (container: Container): string[] => {
  const names = (container.env ?? []).map(({ name }) => name);
  return names.filter((name, index) => names.indexOf(name) !== index);
};

const portFaults = (about: string, service: string, container: Container, settings: LoadedSettings): string[] => {
  const port = portOf(settings.listen);
  const { REFUSALSCOPE_HEALTH_LISTEN: health, REFUSALSCOPE_METRICS_LISTEN: metrics } = settings.edge;
  const listened = [settings.listen, settings.consoleListen, health, metrics].flatMap((address) =>
    address === undefined ? [] : [portOf(address)],
  );
  const declared = (container.ports ?? []).map(({ containerPort }) => containerPort);
  const usual = readDefaultListen(service, environmentOf(container));
  const { fullName } = SERVICES[service]!;
  // The kubelet's own gRPC probes know no TLS.
  const asked = settings.edge.REFUSALSCOPE_TLS_CERT === undefined ? settings.listen : (health ?? 'none:0');
  const probes: [string, GrpcProbe | undefined, string][] = [
    ['startupProbe', container.startupProbe, ''],
    ['readinessProbe', container.readinessProbe, fullName],
    ['livenessProbe', container.livenessProbe, LIVENESS],
  ];
  return [
    ...said(about, [
      [hostOf(settings.listen) === '0.0.0.0', `listens on ${settings.listen}, where no other pod reaches it`],
      [usual !== undefined && portOf(usual) === port, `listens on port ${port}, not on its usual one (${usual})`],
      [sameNumbers(declared, listened), `declares ports ${declared} and listens on ${listened}`],
    ]),
    ...probes.flatMap(([name, probe, wanted]) =>
      said(`${about} ${name}`, [
        [probe?.grpc !== undefined, 'there is none by gRPC'],
        [
          probe?.grpc === undefined || probe.grpc.port === portOf(asked),
          `asks port ${probe?.grpc?.port}, health is answered at ${portOf(asked)}`,
        ],
        [(probe?.grpc?.service ?? '') === wanted, `asks for "${probe?.grpc?.service ?? ''}", not for "${wanted}"`],
      ]),
    ),
  ];
};

const sameNumbers = (left: readonly number[], right: readonly number[]): boolean =>
  [...left].sort().join() === [...right].sort().join();

const sizeFaults = (about: string, container: Container, { threads, cacheBytes }: LoadedSettings): string[] => {
  const { cpu = 0, memory = 0 } = container.resources?.limits ?? {};
  return said(about, [
    [threads === undefined || threads <= coresOf(cpu), `runs ${threads} threads on ${cpu} CPUs`],
    [
      cacheBytes === undefined || 2 * cacheBytes <= bytesOf(memory),
      `keeps ${(cacheBytes ?? 0) / MIB} MiB of cache in a limit of ${memory}: less than half is left`,
    ],
  ]);
};

/** A service that can speak to NATS is told where it is; only a mesh for development may go without. */
const busFaults = (workload: Workload, environment: Record<string, string>, names: ReadonlySet<string>): string[] => {
  const { name, namespace } = workload.metadata;
  if (namespace?.endsWith('-dev') === true) return [];
  return said(`${workload.kind} ${name}`, [
    [!names.has(BUS_SETTING) || Boolean(environment[BUS_SETTING]), `knows ${BUS_SETTING}, and it is not set`],
  ]);
};

/** Paths in settings and arguments lie in the image or in a mounted volume. */
const pathFaults = (workload: Workload, container: Container): string[] => {
  const about = `${workload.kind} ${workload.metadata.name}/${container.name}`;
  const mounts = container.volumeMounts ?? [];
  const settings = Object.entries(environmentOf(container)).filter(([, value]) => value.startsWith('/'));
  const script = container.args?.[0] ?? '';
  const source = script.replace(/^dist\//, '').replace(/\.js$/, script.startsWith('dist/') ? '.ts' : '.js');
  return [
    ...said(about, [[source !== '' && existsSync(join(projectRoot, source)), `there is no program ${script}`]]),
    ...settings.flatMap(([name, value]) => {
      if (value.startsWith('/app/')) {
        return said(about, [[existsSync(join(projectRoot, value.slice(5))), `${name}: the image has no ${value}`]]);
      }
      const mount = mounts.find(({ mountPath }) => `${value}/`.startsWith(`${mountPath}/`));
      const writes = name.endsWith('STATE_DIR');
      return said(about, [
        [mount !== undefined, `${name}: ${value} is on no volume`],
        [!writes || mount?.readOnly !== true, `${name}: ${value} is mounted read-only`],
        [!value.includes('.gguf') || value === fetchedTo('/models'), `${name}: the model is fetched to another path`],
      ]);
    }),
  ];
};

/** Where the model store puts the embedded model, below XDG_CACHE_HOME. */
export const fetchedTo = (cacheHome: string): string =>
  join(cacheHome, 'refusalscope', 'models', EMBEDDED_MODEL.sha256.slice(0, 16), EMBEDDED_MODEL.file);

const coresOf = (amount: string | number): number =>
  String(amount).endsWith('m') ? Number.parseInt(String(amount), 10) / 1000 : Number(amount);

const UNITS: Readonly<Record<string, number>> = { Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40 };

const bytesOf = (amount: string | number): number => {
  const [, number, unit] = /^(\d+)([KMGT]i)?$/.exec(String(amount)) ?? [];
  return Number(number) * (unit === undefined ? 1 : UNITS[unit]!);
};
