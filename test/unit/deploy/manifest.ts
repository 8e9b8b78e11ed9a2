/** The parts of Kubernetes manifests that the policy looks at. Whether a manifest has this shape is the schema's business. */

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  metadata: { name: string; namespace?: string; labels?: Record<string, string> };
}

export interface EnvironmentEntry {
  name: string;
  value?: string;
}

export interface GrpcProbe {
  grpc?: { port: number; service?: string };
  periodSeconds?: number;
  failureThreshold?: number;
}

export interface SecurityContext {
  runAsNonRoot?: boolean;
  runAsUser?: number;
  allowPrivilegeEscalation?: boolean;
  privileged?: boolean;
  readOnlyRootFilesystem?: boolean;
  capabilities?: { drop?: string[]; add?: string[] };
  seccompProfile?: { type: string };
}

type Amounts = Record<string, string | number>;

export interface Container {
  name: string;
  image: string;
  command?: string[];
  args?: string[];
  env?: EnvironmentEntry[];
  ports?: { name?: string; containerPort: number }[];
  startupProbe?: GrpcProbe;
  readinessProbe?: GrpcProbe;
  livenessProbe?: GrpcProbe;
  resources?: { requests?: Amounts; limits?: Amounts };
  securityContext?: SecurityContext;
  volumeMounts?: { name: string; mountPath: string; readOnly?: boolean }[];
  lifecycle?: { preStop?: { sleep?: { seconds: number }; exec?: unknown } };
}

export interface PodSpec {
  containers: Container[];
  initContainers?: Container[];
  volumes?: Record<string, unknown>[];
  securityContext?: SecurityContext;
  automountServiceAccountToken?: boolean;
  enableServiceLinks?: boolean;
  terminationGracePeriodSeconds?: number;
  nodeSelector?: Record<string, string>;
  tolerations?: { key?: string }[];
  hostNetwork?: boolean;
  hostPID?: boolean;
}

export interface Workload extends Manifest {
  spec: {
    replicas?: number;
    selector?: { matchLabels: Record<string, string> };
    serviceName?: string;
    template: { metadata: { labels: Record<string, string> }; spec: PodSpec };
  };
}

export interface Service extends Manifest {
  spec: {
    clusterIP?: string;
    type?: string;
    selector: Record<string, string>;
    ports: { name?: string; port: number; targetPort?: number | string }[];
  };
}

export interface PodSelector {
  matchLabels?: Record<string, string>;
  matchExpressions?: { key: string; operator: string; values?: string[] }[];
}

export interface NetworkPeer {
  podSelector?: PodSelector;
  namespaceSelector?: PodSelector;
  ipBlock?: { cidr: string };
}

export interface NetworkRule {
  from?: NetworkPeer[];
  to?: NetworkPeer[];
  ports?: { port?: number | string; protocol?: string }[];
}

export interface NetworkPolicy extends Manifest {
  spec: { podSelector: PodSelector; policyTypes?: string[]; ingress?: NetworkRule[]; egress?: NetworkRule[] };
}

export interface DisruptionBudget extends Manifest {
  spec: { maxUnavailable?: number | string; minAvailable?: number | string; selector: PodSelector };
}

export interface ScaledObject extends Manifest {
  spec: {
    scaleTargetRef: { name: string };
    minReplicaCount?: number;
    maxReplicaCount?: number;
    triggers: { type: string; metadata: Record<string, string> }[];
  };
}

export interface Certificate extends Manifest {
  spec: {
    secretName: string;
    isCA?: boolean;
    uris?: string[];
    dnsNames?: string[];
    usages?: string[];
    duration?: string;
    renewBefore?: string;
    issuerRef: { kind?: string; name: string };
  };
}

export interface ServiceMonitor extends Manifest {
  spec: { selector: PodSelector; endpoints: { port?: string; path?: string }[] };
}

export const NAME_LABEL = 'app.kubernetes.io/name';

const LONG_RUNNING = ['Deployment', 'StatefulSet'];

const ofKind =
  <Kind extends Manifest>(kinds: readonly string[]) =>
  (manifests: readonly Manifest[]): Kind[] =>
    manifests.filter((manifest) => kinds.includes(manifest.kind)) as Kind[];

/** Deployments, StatefulSets and Jobs. */
export const workloadsOf = ofKind<Workload>([...LONG_RUNNING, 'Job']);
/** Those that serve. */
export const serversOf = ofKind<Workload>(LONG_RUNNING);
export const servicesOf = ofKind<Service>(['Service']);
export const networkPoliciesOf = ofKind<NetworkPolicy>(['NetworkPolicy']);
export const disruptionBudgetsOf = ofKind<DisruptionBudget>(['PodDisruptionBudget']);
export const scaledObjectsOf = ofKind<ScaledObject>(['ScaledObject']);
export const certificatesOf = ofKind<Certificate>(['Certificate']);
export const serviceMonitorsOf = ofKind<ServiceMonitor>(['ServiceMonitor']);

export const podOf = (workload: Workload): PodSpec => workload.spec.template.spec;

export const allContainersOf = (workload: Workload): Container[] => [
  ...(podOf(workload).initContainers ?? []),
  ...podOf(workload).containers,
];

/** The one container that a server's pod is about. */
export const mainContainerOf = (workload: Workload): Container => podOf(workload).containers[0]!;

export const environmentOf = (container: Container): Record<string, string> =>
  Object.fromEntries((container.env ?? []).map(({ name, value }) => [name, value ?? '']));
