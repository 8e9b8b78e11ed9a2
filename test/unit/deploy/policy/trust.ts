/** Who is believed: every server proves itself and asks for proof, with a certificate that carries its name; only a mesh for development does not. */
import { hostOf, readSettings, serviceOfArgs } from '../known-settings.js';
import {
  type Certificate,
  certificatesOf,
  environmentOf,
  type Manifest,
  mainContainerOf,
  podOf,
  serversOf,
  serviceMonitorsOf,
  servicesOf,
  type Workload,
} from '../manifest.js';
import { said } from './hardening.js';
import { BUS_SETTING } from './settings.js';

const FILES: Readonly<Record<string, string>> = {
  REFUSALSCOPE_TLS_CERT: 'tls.crt',
  REFUSALSCOPE_TLS_KEY: 'tls.key',
  REFUSALSCOPE_TLS_CA: 'ca.crt',
};

export const trustFaults = (manifests: readonly Manifest[]): string[] => [
  ...serversOf(manifests).flatMap((workload) => serverFaults(workload, manifests)),
  ...authorityFaults(manifests),
  ...monitorFaults(manifests),
];

const serverFaults = (workload: Workload, manifests: readonly Manifest[]): string[] => {
  const environment = environmentOf(mainContainerOf(workload));
  const service = serviceOfArgs(mainContainerOf(workload).args);
  const edge = service === undefined ? undefined : readSettings(service, environment).settings?.edge;
  if (service === undefined || edge === undefined) return [];
  const isDevelopment = workload.metadata.namespace?.endsWith('-dev') === true;
  const withTls = edge.REFUSALSCOPE_TLS_CERT !== undefined;
  return [
    ...said(`${workload.kind} ${workload.metadata.name}`, [
      [withTls || isDevelopment, 'serves without certificates'],
      [edge.REFUSALSCOPE_INSECURE === isDevelopment, 'allows calls without authentication, or would not start'],
      [edge.REFUSALSCOPE_TLS_CLIENTS !== 'none', 'asks callers for no certificate'],
      [service !== 'coordinator' || !withTls || edge.REFUSALSCOPE_JWKS !== undefined, 'takes no tokens of people'],
      [!withTls || isOverTls(environment[BUS_SETTING]), 'speaks to NATS in plain text'],
      [
        service === 'coordinator' || edge.REFUSALSCOPE_TLS_CLIENTS === 'require',
        'lets callers in without a certificate',
      ],
    ]),
    ...(withTls ? certificateFaults(workload, service, manifests) : []),
  ];
};

const isOverTls = (servers: string | undefined): boolean =>
  (servers ?? '').split(',').every((server) => server === '' || server.startsWith('tls://'));

const certificateFaults = (workload: Workload, service: string, manifests: readonly Manifest[]): string[] => {
  const { name } = workload.metadata;
  const environment = environmentOf(mainContainerOf(workload));
  const folder = hostOfPath(environment.REFUSALSCOPE_TLS_CERT ?? '');
  const mount = mainContainerOf(workload).volumeMounts?.find(({ mountPath }) => mountPath === folder);
  const secret = secretOf(workload, mount?.name);
  const certificate = certificatesOf(manifests).find(({ spec }) => spec.secretName === secret);
  const usages = certificate?.spec.usages ?? [];
  return said(`${workload.kind} ${name}`, [
    ...Object.entries(FILES).map(
      ([setting, file]) =>
        [environment[setting] === `${folder}/${file}`, `${setting} is no file of its Secret`] as const,
    ),
    [certificate !== undefined, `nothing makes its Secret ${secret ?? ''}`],
    [
      certificate === undefined || certificate.spec.uris?.includes(`spiffe://refusalscope/service/${service}`) === true,
      'its certificate does not say which service it is',
    ],
    [
      certificate === undefined ||
        hostsOf(service, manifests).every((host) => certificate.spec.dnsNames?.includes(host)),
      'its certificate lacks a name by which it is dialled',
    ],
    [
      certificate === undefined || ['server auth', 'client auth'].every((usage) => usages.includes(usage)),
      'its certificate cannot both serve and call',
    ],
  ]);
};

const hostOfPath = (path: string): string => path.slice(0, path.lastIndexOf('/'));

const secretOf = (workload: Workload, volume: string | undefined): string | undefined => {
  const found = (podOf(workload).volumes ?? []).find((candidate) => candidate.name === volume);
  return (found?.secret as { secretName?: string } | undefined)?.secretName;
};

/** The names in addresses that lead to a service, and its own. */
const hostsOf = (service: string, manifests: readonly Manifest[]): string[] => {
  const addresses = serversOf(manifests).flatMap((workload) =>
    Object.entries(environmentOf(mainContainerOf(workload)))
      .filter(([name]) => name === `REFUSALSCOPE_${service.toUpperCase()}_ADDRESS`)
      .map(([, address]) => hostOf(address)),
  );
  return [...new Set([service, ...addresses])];
};

const authorityFaults = (manifests: readonly Manifest[]): string[] => {
  const issuers = manifests.filter(({ kind }) => kind === 'Issuer').map(({ metadata }) => metadata.name);
  const hours = (text: string | undefined): number => Number(text?.replace('h', ''));
  const renews = ({ spec }: Certificate): boolean => hours(spec.renewBefore) < hours(spec.duration);
  return certificatesOf(manifests).flatMap((certificate) =>
    said(`Certificate ${certificate.metadata.name}`, [
      [issuers.includes(certificate.spec.issuerRef.name), `there is no issuer ${certificate.spec.issuerRef.name}`],
      [renews(certificate), 'is not renewed before it ends'],
    ]),
  );
};

const monitorFaults = (manifests: readonly Manifest[]): string[] =>
  serviceMonitorsOf(manifests).flatMap(({ metadata, spec }) => {
    const wanted = Object.entries(spec.selector.matchLabels ?? {});
    const watched = servicesOf(manifests).filter((service) =>
      wanted.every(([label, value]) => service.metadata.labels?.[label] === value),
    );
    const ports = spec.endpoints.map(({ port }) => port);
    return said(`ServiceMonitor ${metadata.name}`, [
      [watched.length === serversOf(manifests).length, `watches ${watched.length} Services`],
      ...watched.map(
        (service) =>
          [
            ports.every((port) => service.spec.ports.some(({ name }) => name === port)),
            `Service ${service.metadata.name} has no port ${ports}`,
          ] as const,
      ),
    ]);
  });
