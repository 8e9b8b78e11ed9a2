/** Workloads, Services, disruption budgets and the autoscaler fit together. */
import { evaluationQueueName, SLOTS_OF_A_POD } from '../../../../shared/bus/evaluation-work.js';
import { createSubjects } from '../../../../shared/bus/subjects.js';
import { type LoadedSettings, portOf, readSettings, serviceOfArgs } from '../known-settings.js';
import {
  disruptionBudgetsOf,
  environmentOf,
  type Manifest,
  mainContainerOf,
  NAME_LABEL,
  podOf,
  type ScaledObject,
  scaledObjectsOf,
  serversOf,
  servicesOf,
  type Workload,
} from '../manifest.js';
import { said } from './hardening.js';

/** shared/process/run-process.ts: what a process may take to stop after the grace time of its calls. */
const STOP_MARGIN_S = 10;
const GPU = 'nvidia.com/gpu';

export const workloadFaults = (manifests: readonly Manifest[]): string[] => [
  ...namespaceFaults(manifests),
  ...serversOf(manifests).flatMap((workload) => [
    ...selectorFaults(workload, manifests),
    ...stopFaults(workload),
    ...gpuFaults(workload),
    ...singletonFaults(workload),
  ]),
  ...scaledObjectsOf(manifests).flatMap((scaled) => scalingFaults(scaled, manifests)),
];

const namespaceFaults = (manifests: readonly Manifest[]): string[] => {
  const own = manifests.find(({ kind }) => kind === 'Namespace')?.metadata;
  const strays = manifests.filter(({ kind, metadata }) => kind !== 'Namespace' && metadata.namespace !== own?.name);
  return [
    ...said('Namespace', [
      [own?.labels?.['pod-security.kubernetes.io/enforce'] === 'restricted', 'takes pods that are not restricted'],
    ]),
    ...strays.map(({ kind, metadata }) => `${kind} ${metadata.name}: is outside the namespace ${own?.name}`),
  ];
};

const selectorFaults = (workload: Workload, manifests: readonly Manifest[]): string[] => {
  const { name } = workload.metadata;
  const label = workload.spec.template.metadata.labels[NAME_LABEL];
  const service = servicesOf(manifests).find(({ spec }) => spec.selector[NAME_LABEL] === label);
  const budget = disruptionBudgetsOf(manifests).find(({ spec }) => spec.selector.matchLabels?.[NAME_LABEL] === label);
  const container = mainContainerOf(workload);
  const target = service?.spec.ports.find((port) => port.name === 'grpc');
  const named = container.ports?.find((port) => port.name === target?.targetPort)?.containerPort;
  const settings = settingsOf(workload);
  return said(`${workload.kind} ${name}`, [
    [workload.spec.selector?.matchLabels[NAME_LABEL] === label, 'does not select its own pods'],
    [service !== undefined, 'has no Service'],
    [service?.spec.clusterIP === 'None', 'its Service is not headless: all calls of a client go to one pod'],
    [settings === undefined || named === portOf(settings.listen), 'its Service leads to another port'],
    [target?.port === named, 'its Service has another port than the server'],
    [budget !== undefined, 'has no disruption budget'],
    [budget === undefined || budget.spec.maxUnavailable === 1, 'its disruption budget is not "one at a time"'],
  ]);
};

const stopFaults = (workload: Workload): string[] => {
  const { terminationGracePeriodSeconds = 30 } = podOf(workload);
  const preStop = mainContainerOf(workload).lifecycle?.preStop;
  const pause = preStop?.sleep?.seconds ?? 0;
  const takesS = pause + (settingsOf(workload)?.edge.REFUSALSCOPE_GRACE_S ?? 0) + STOP_MARGIN_S;
  return said(`${workload.kind} ${workload.metadata.name}`, [
    [pause > 0, 'stops listening before endpoints forget it'],
    [preStop?.exec === undefined, 'runs a command before it stops: the image has no shell'],
    [
      terminationGracePeriodSeconds >= takesS,
      `may take ${takesS} s to stop, is killed after ${terminationGracePeriodSeconds} s`,
    ],
  ]);
};

/** A GPU is asked for exactly where one is used. */
const gpuFaults = (workload: Workload): string[] => {
  const container = mainContainerOf(workload);
  const { nodeSelector = {}, tolerations = [] } = podOf(workload);
  const usesGpu = /^(cuda|tensorrt)/.test(environmentOf(container).REFUSALSCOPE_DEVICE ?? '');
  return said(`${workload.kind} ${workload.metadata.name}`, [
    [GPU in (container.resources?.limits ?? {}) === usesGpu, `limit of ${GPU} and device do not fit`],
    [container.image.includes('refusalscope-gpu') === usesGpu, 'image and device do not fit'],
    [!usesGpu || 'nvidia.com/gpu.present' in nodeSelector, 'uses a GPU and asks for no GPU node'],
    [!usesGpu || tolerations.some(({ key }) => key === GPU), 'uses a GPU and does not tolerate GPU nodes'],
  ]);
};

/** Two pods with one state would both run its audits. */
const singletonFaults = (workload: Workload): string[] => {
  if (serviceOfArgs(mainContainerOf(workload).args) !== 'coordinator') return [];
  return said(`${workload.kind} ${workload.metadata.name}`, [
    [workload.kind === 'StatefulSet', 'a Deployment may run two coordinators at once'],
    [workload.spec.replicas === 1, `runs ${workload.spec.replicas} coordinators`],
  ]);
};

const scalingFaults = ({ metadata, spec }: ScaledObject, manifests: readonly Manifest[]): string[] => {
  const target = serversOf(manifests).find((workload) => workload.metadata.name === spec.scaleTargetRef.name);
  if (target === undefined) return [`ScaledObject ${metadata.name}: there is no ${spec.scaleTargetRef.name}`];
  const settings = settingsOf(target);
  const subjects = createSubjects('refusal');
  const stream = subjects.workStream(evaluationQueueName(settings?.modelName ?? 'none'));
  const [trigger] = spec.triggers;
  return said(`ScaledObject ${metadata.name}`, [
    [target.spec.replicas === undefined, 'its target has replicas of its own: each apply would undo the scaling'],
    [(spec.minReplicaCount ?? 0) >= 1, 'may scale to none: calls by gRPC would find no one'],
    [(spec.maxReplicaCount ?? 0) > (spec.minReplicaCount ?? 0), 'cannot grow'],
    [trigger?.type === 'nats-jetstream', 'does not look at JetStream'],
    [trigger?.metadata.stream === stream, `looks at ${trigger?.metadata.stream}, the queue is ${stream}`],
    [trigger?.metadata.consumer === subjects.workConsumer, `looks at consumer ${trigger?.metadata.consumer}`],
    [
      trigger?.metadata.lagThreshold === String(SLOTS_OF_A_POD),
      `lets ${trigger?.metadata.lagThreshold} items wait for a pod of ${SLOTS_OF_A_POD} slots: requesters never queue that many`,
    ],
  ]);
};

/** Undefined if the service would not start; another part of the policy says so. */
const settingsOf = (workload: Workload): LoadedSettings | undefined => {
  const container = mainContainerOf(workload);
  const service = serviceOfArgs(container.args);
  return service === undefined ? undefined : readSettings(service, environmentOf(container)).settings;
};
