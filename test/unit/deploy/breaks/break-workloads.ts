/** How workloads, Services, budgets and the autoscaler fit: each broken in one way. */
import { disruptionBudgetsOf, podOf, scaledObjectsOf, serversOf, servicesOf } from '../manifest.js';
import { type Breaks, inContainer, inSetting, inWorkload, named, without } from './break.js';

export const BREAKS_OF_WORKLOADS: Breaks = {
  'no Service': [without('Service', 'fm'), /Deployment fm: has no Service/],
  'a Service with one address': [
    (manifests) => {
      delete named(servicesOf(manifests), 'inference').spec.clusterIP;
    },
    /inference: its Service is not headless/,
  ],
  'a Service to nowhere': [
    (manifests) => {
      named(servicesOf(manifests), 'inference').spec.ports[0]!.targetPort = 'http';
    },
    /inference: its Service leads to another port/,
  ],
  'no disruption budget': [without('PodDisruptionBudget', 'search'), /search: has no disruption budget/],
  'a budget that stops drains': [
    (manifests) => {
      named(disruptionBudgetsOf(manifests), 'search').spec.maxUnavailable = 0;
    },
    /search: its disruption budget/,
  ],
  'too little time to stop': [
    inWorkload('search', (workload) => {
      podOf(workload).terminationGracePeriodSeconds = 10;
    }),
    /search: may take 35 s to stop, is killed after 10 s/,
  ],
  'no pause before it stops': [
    inContainer('search', (container) => {
      delete container.lifecycle;
    }),
    /search: stops listening before endpoints forget it/,
  ],
  'two coordinators': [
    inWorkload('coordinator', (workload) => {
      workload.spec.replicas = 2;
    }),
    /runs 2 coordinators/,
  ],
  'a GPU that nothing uses': [
    inContainer('inference', (container) => {
      container.resources!.limits!['nvidia.com/gpu'] = '1';
    }),
    /inference: limit of nvidia.com\/gpu and device do not fit/,
  ],
  'a device without its GPU': [inSetting('inference', 'REFUSALSCOPE_DEVICE', 'cuda'), /image and device do not fit/],
  'another stream': [
    (manifests) => {
      scaledObjectsOf(manifests)[0]!.spec.triggers[0]!.metadata.stream = 'REFUSAL_WORK';
    },
    /looks at REFUSAL_WORK, the queue is REFUSAL_WORK_evaluate-smollm2/,
  ],
  'another model name than the queue': [
    inSetting('inference', 'REFUSALSCOPE_MODEL_NAME', 'gemma-2-2b-it'),
    /the queue is REFUSAL_WORK_evaluate-gemma-2-2b-it/,
  ],
  'another consumer': [
    (manifests) => {
      scaledObjectsOf(manifests)[0]!.spec.triggers[0]!.metadata.consumer = 'pods';
    },
    /looks at consumer pods/,
  ],
  'a backlog that no requester makes': [
    (manifests) => {
      scaledObjectsOf(manifests)[0]!.spec.triggers[0]!.metadata.lagThreshold = '16';
    },
    /lets 16 items wait for a pod of 2 slots/,
  ],
  'scaling to none': [
    (manifests) => {
      scaledObjectsOf(manifests)[0]!.spec.minReplicaCount = 0;
    },
    /may scale to none/,
  ],
  'replicas beside the autoscaler': [
    inWorkload('inference', (workload) => {
      workload.spec.replicas = 3;
    }),
    /its target has replicas of its own/,
  ],
  'an open namespace': [
    (manifests) => {
      delete manifests.find(({ kind }) => kind === 'Namespace')!.metadata.labels;
    },
    /takes pods that are not restricted/,
  ],
  'a stray manifest': [
    (manifests) => {
      serversOf(manifests)[0]!.metadata.namespace = 'default';
    },
    /is outside the namespace refusalscope/,
  ],
};
