/** The values for the NATS chart name only what the chart knows, and fit the bus and the autoscaler. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { evaluationQueueName } from '../../../shared/bus/evaluation-work.js';
import { MAX_MESSAGE_BYTES } from '../../../shared/bus/message-limits.js';
import { renderAccountsFile } from '../../../shared/bus/nats/accounts-file.js';
import { accountOf, type NatsAccounts, natsAccountsOf } from '../../../shared/bus/nats/nats-accounts.js';
import { projectRoot } from '../../../shared/project/root.js';
import { readSettings, SERVICES } from './known-settings.js';
import type { Manifest, NetworkPolicy, ScaledObject } from './manifest.js';
import { BUS_SETTING } from './policy/settings.js';
import { schemaFaults } from './schema.js';

interface Hardened {
  readonly merge: {
    readonly resources: { readonly limits: object };
    readonly securityContext: { readonly readOnlyRootFilesystem: boolean };
  };
}

interface Values {
  readonly fullnameOverride: string;
  readonly config: {
    readonly cluster: { readonly replicas: number };
    readonly monitor: { readonly port: number };
    readonly merge: { readonly max_payload: string };
    readonly nats: {
      readonly tls: { readonly secretName: string; readonly merge: { readonly verify_and_map: boolean } };
    };
  };
  readonly container: Hardened;
  readonly reloader: Hardened;
  readonly promExporter: Hardened;
  readonly extraResources: readonly Manifest[];
}

const EMBEDDED_MODEL_NAME = 'smollm2-135m-refusal';

const read = (path: string): string => readFileSync(join(projectRoot, path), 'utf8');
const values = parse(read('k8s/nats-values.yaml')) as Values;
const chart = JSON.parse(read('test/fixtures/kubernetes/nats-chart-keys.json')) as { readonly keys: readonly string[] };

/** Paths of all values, such as "config.cluster.replicas"; lists end a path. */
const pathsOf = (node: unknown, path = ''): string[] =>
  typeof node !== 'object' || node === null || Array.isArray(node)
    ? [path]
    : Object.entries(node).flatMap(([key, child]) => pathsOf(child, path === '' ? key : `${path}.${key}`));

/** A key of the chart, or something below one that it leaves open (`merge`, `env`, ...). */
const isKnown = (path: string): boolean => chart.keys.some((key) => path === key || path.startsWith(`${key}.`));

describe('the values for the NATS chart', () => {
  test('name only what the chart knows', () => {
    expect(pathsOf(values).filter((path) => !isKnown(path))).toEqual([]);
    expect(isKnown('config.cluster.replica')).toBe(false);
    expect(isKnown('prometheusExporter.enabled')).toBe(false);
  });

  test('let the largest message of the bus through, with a quarter left for headers', () => {
    const [, megabytes] = /^(\d+)MB$/.exec(values.config.merge.max_payload) ?? [];
    expect(Number(megabytes) * 2 ** 20).toBeGreaterThanOrEqual(MAX_MESSAGE_BYTES * 1.25);
  });

  test('bring a network policy that a cluster would take, and that opens each port to someone by name', () => {
    expect(values.extraResources.flatMap(schemaFaults)).toEqual([]);
    const [policy] = values.extraResources as NetworkPolicy[];
    const ports = policy!.spec.ingress!.map((rule) => rule.ports![0]!.port);
    expect(ports).toEqual([4222, 6222, values.config.monitor.port, 7777]);
    expect(policy!.spec.ingress!.every((rule) => (rule.from ?? []).length > 0)).toBe(true);
  });

  test('let in whoever knows the setting for the bus, and nobody else', () => {
    const users = Object.keys(SERVICES).filter((name) => readSettings(name, {}).names.has(BUS_SETTING));
    const [policy] = values.extraResources as NetworkPolicy[];
    const callers = policy!.spec.ingress![0]!.from![0]!.podSelector!.matchExpressions![0]!.values;
    expect(users.length).toBeGreaterThan(0);
    expect([...callers!].sort()).toEqual(users.sort());
  });

  test('the accounts are those of the code, for the queue of the model that is served, and the chart leaves room for them', () => {
    const text = read('k8s/nats-accounts.yaml');
    expect(text, 'npm run generate:nats-accounts').toBe(renderAccountsFile());
    const { config } = parse(text) as { config: { merge: { accounts: NatsAccounts } } };
    const queues = [evaluationQueueName(EMBEDDED_MODEL_NAME)];
    expect(config.merge.accounts).toEqual(natsAccountsOf({ namespace: 'refusal', queues }));
    expect(isKnown('config.merge.accounts')).toBe(true);
  });

  test('a user for each service that knows the setting for the bus, named as its certificate names it', () => {
    const [account] = Object.values(natsAccountsOf({ namespace: 'refusal', queues: [] }));
    const identities = parseAllDocuments(read('k8s/components/certificates/certificates.yaml')).flatMap(
      (document) => (document.toJS() as { spec: { uris?: string[] } }).spec.uris ?? [],
    );
    const users = Object.keys(SERVICES).filter((name) => readSettings(name, {}).names.has(BUS_SETTING));
    expect(account!.users.map(({ user }) => user.split('/').at(-1)).sort()).toEqual(users.sort());
    for (const { user } of account!.users) expect(identities).toContain(user);
  });

  test('the autoscaler asks the monitoring port of the headless Service that the chart makes', () => {
    const { namespace } = parse(read('k8s/overlays/cpu/kustomization.yaml')) as { namespace: string };
    const endpoint = `${values.fullnameOverride}-headless.${namespace}.svc:${values.config.monitor.port}`;
    for (const path of ['k8s/components/autoscale/scaled-object.yaml', 'k8s/overlays/gpu/scaled-object.yaml']) {
      const { spec } = parse(read(path)) as ScaledObject;
      expect(spec.triggers[0]!.metadata.natsServerMonitoringEndpoint).toBe(endpoint);
      expect(spec.triggers[0]!.metadata.account).toBe(accountOf('refusal'));
    }
  });

  test('both sides show certificates, from a Secret that cert-manager makes', () => {
    const certificates = parseAllDocuments(read('k8s/components/certificates/certificates.yaml')).map(
      (document) => (document.toJS() as { spec: { secretName: string } }).spec.secretName,
    );
    expect(certificates).toContain(values.config.nats.tls.secretName);
    expect(values.config.nats.tls.merge.verify_and_map).toBe(true);
  });

  test.each(['container', 'reloader', 'promExporter'] as const)('%s is hardened and has limits', (name) => {
    const { resources, securityContext } = values[name].merge;
    expect(Object.keys(resources.limits)).toEqual(['cpu', 'memory']);
    expect(securityContext.readOnlyRootFilesystem).toBe(true);
  });
});
