/**
 * Who may speak to whom: the edges that the settings of the services name, each allowed on both sides, and no other. An edge is written
 * "search -> inference:7001".
 */
import { portOf } from '../known-settings.js';
import {
  environmentOf,
  type Manifest,
  mainContainerOf,
  NAME_LABEL,
  type NetworkPeer,
  type NetworkPolicy,
  type NetworkRule,
  networkPoliciesOf,
  type PodSelector,
  serversOf,
  servicesOf,
} from '../manifest.js';

const DNS = 'cluster DNS:53';
const INTERNET = 'internet:443';
const CLIENT = 'client';

/** Callers that are no workload of ours. */
const OUTSIDE_CALLERS = [`${CLIENT} -> coordinator:7000`];

export const networkFaults = (manifests: readonly Manifest[]): string[] => {
  const calls = callsOf(manifests);
  const callers = [...new Set(calls.edges.map((edge) => edge.split(' ')[0]!)), 'fetch-model'];
  const policies = networkPoliciesOf(manifests);
  const ingress = policies.flatMap((policy) => edgesOf(policy, 'ingress'));
  const egress = policies.flatMap((policy) => edgesOf(policy, 'egress'));
  return [
    ...calls.faults,
    ...deniedByDefault(policies),
    ...difference('into', ingress, [...calls.edges.filter(leadsInside), ...OUTSIDE_CALLERS, ...scrapes(manifests)]),
    ...difference('out of', egress, [
      ...calls.edges,
      ...callers.map((caller) => `${caller} -> ${DNS}`),
      `fetch-model -> ${INTERNET}`,
    ]),
  ];
};

/** Made by the NATS chart, so not among the manifests. */
const OUTSIDE_SERVICES = ['nats:4222'];

/** The other side of an edge to NATS is in k8s/nats-values.yaml. */
const leadsInside = (edge: string): boolean => !OUTSIDE_SERVICES.some((service) => edge.endsWith(`-> ${service}`));

/** From the addresses in the settings. Each must name a Service that leads to that port. */
const callsOf = (manifests: readonly Manifest[]): { edges: string[]; faults: string[] } => {
  const services = servicesOf(manifests);
  const edges: string[] = [];
  const faults: string[] = [];
  for (const workload of serversOf(manifests)) {
    const { name } = workload.metadata;
    for (const [setting, value] of Object.entries(environmentOf(mainContainerOf(workload)))) {
      const [, host, port] = /^(?:[a-z]+:\/\/)?([a-z][a-z0-9-]*):(\d+)$/.exec(value) ?? [];
      if (host === undefined) continue;
      const service = services.find((candidate) => candidate.metadata.name === host);
      const served =
        OUTSIDE_SERVICES.includes(`${host}:${port}`) ||
        service?.spec.ports.some((entry) => entry.port === Number(port)) === true;
      if (!served) faults.push(`${name}: ${setting} is ${value}, where no Service is`);
      edges.push(`${name} -> ${service?.spec.selector[NAME_LABEL] ?? host}:${port}`);
    }
  }
  return { edges, faults };
};

/** Prometheus, where a service gives metrics. */
const scrapes = (manifests: readonly Manifest[]): string[] =>
  serversOf(manifests).flatMap((workload) => {
    const listen = environmentOf(mainContainerOf(workload)).REFUSALSCOPE_METRICS_LISTEN;
    return listen === undefined ? [] : [`namespace monitoring -> ${workload.metadata.name}:${portOf(listen)}`];
  });

const deniedByDefault = (policies: readonly NetworkPolicy[]): string[] => {
  const denies = policies.some(
    ({ spec }) =>
      Object.keys(spec.podSelector).length === 0 &&
      ['Ingress', 'Egress'].every((type) => spec.policyTypes?.includes(type)) &&
      spec.ingress === undefined &&
      spec.egress === undefined,
  );
  return denies ? [] : ['no network policy denies everything to every pod'];
};

const edgesOf = (policy: NetworkPolicy, side: 'ingress' | 'egress'): string[] => {
  const selected = namesOf(policy.spec.podSelector);
  return (policy.spec[side] ?? []).flatMap((rule) =>
    selected.flatMap((self) =>
      peersOf(rule, side).flatMap((peer) =>
        portsOf(rule).map((port) => (side === 'ingress' ? `${peer} -> ${self}:${port}` : `${self} -> ${peer}:${port}`)),
      ),
    ),
  );
};

const portsOf = ({ ports }: NetworkRule): string[] =>
  ports === undefined ? ['any'] : [...new Set(ports.map(({ port }) => String(port ?? 'any')))];

const peersOf = (rule: NetworkRule, side: 'ingress' | 'egress'): string[] => {
  const peers = side === 'ingress' ? rule.from : rule.to;
  return peers === undefined || peers.length === 0 ? ['anyone'] : peers.flatMap(nameOfPeer);
};

const nameOfPeer = ({ podSelector, namespaceSelector, ipBlock }: NetworkPeer): string[] => {
  if (ipBlock !== undefined) return [ipBlock.cidr === '0.0.0.0/0' ? 'internet' : ipBlock.cidr];
  if (namespaceSelector === undefined) return namesOf(podSelector);
  const namespace = namespaceSelector.matchLabels?.['kubernetes.io/metadata.name'];
  const isDns = namespace === 'kube-system' && podSelector?.matchLabels?.['k8s-app'] === 'kube-dns';
  return [isDns ? 'cluster DNS' : `namespace ${namespace ?? 'any'}`];
};

/** The names of the pods that a selector takes; "anyone" for one that says nothing about names. */
const namesOf = (selector: PodSelector | undefined): string[] => {
  const name = selector?.matchLabels?.[NAME_LABEL];
  if (name !== undefined) return [name];
  if (selector?.matchLabels?.['app.kubernetes.io/component'] === CLIENT) return [CLIENT];
  const listed = selector?.matchExpressions?.find(({ key, operator }) => key === NAME_LABEL && operator === 'In');
  return listed?.values ?? ['anyone'];
};

const difference = (side: string, allowed: readonly string[], needed: readonly string[]): string[] => [
  ...needed
    .filter((edge) => !allowed.includes(edge))
    .map((edge) => `${edge} is needed and not allowed ${side} the pod`),
  ...allowed
    .filter((edge) => !needed.includes(edge))
    .map((edge) => `${edge} is allowed ${side} the pod and not needed`),
];
