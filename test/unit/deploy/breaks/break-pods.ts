/** Pods and containers: each broken in one way. */
import { podOf } from '../manifest.js';
import { type Breaks, inContainer, inWorkload } from './break.js';

export const BREAKS_OF_PODS: Breaks = {
  'runs as root': [
    inWorkload('sae', (workload) => {
      podOf(workload).securityContext!.runAsNonRoot = false;
    }),
    /sae: the pod may run as root/,
  ],
  'no seccomp profile': [
    inWorkload('fm', (workload) => {
      delete podOf(workload).securityContext!.seccompProfile;
    }),
    /fm: the pod has no seccomp profile/,
  ],
  'a token of the API': [
    inWorkload('search', (workload) => {
      delete podOf(workload).automountServiceAccountToken;
    }),
    /search: the pod is given a token/,
  ],
  'variables of other services': [
    inWorkload('search', (workload) => {
      delete podOf(workload).enableServiceLinks;
    }),
    /search: the pod is given variables/,
  ],
  'the network of its node': [
    inWorkload('inference', (workload) => {
      podOf(workload).hostNetwork = true;
    }),
    /inference: the pod shares a namespace/,
  ],
  'a folder of its node': [
    inWorkload('fetch-model', (workload) => {
      podOf(workload).volumes!.push({ name: 'host', hostPath: { path: '/' } });
    }),
    /fetch-model: the pod mounts a folder/,
  ],
  'an unbounded scratch volume': [
    inWorkload('sae', (workload) => {
      podOf(workload).volumes!.push({ name: 'more', emptyDir: {} });
    }),
    /sae: an emptyDir has no sizeLimit/,
  ],
  'a writable root': [
    inContainer('coordinator', (container) => {
      container.securityContext!.readOnlyRootFilesystem = false;
    }),
    /coordinator: the root file system can be written/,
  ],
  'growing privileges': [
    inContainer('coordinator', (container) => {
      delete container.securityContext!.allowPrivilegeEscalation;
    }),
    /privileges can grow/,
  ],
  'a privileged container': [
    inContainer('coordinator', (container) => {
      container.securityContext!.privileged = true;
    }),
    /is privileged/,
  ],
  'kept capabilities': [
    inWorkload('inference', (workload) => {
      podOf(workload).initContainers![0]!.securityContext!.capabilities = {};
    }),
    /inference\/await-model: capabilities are kept/,
  ],
  'no memory limit': [
    inContainer('fm', (container) => {
      delete container.resources!.limits!.memory;
    }),
    /fm\/fm: no limit of memory/,
  ],
  'no CPU request': [
    inContainer('fm', (container) => {
      delete container.resources!.requests!.cpu;
    }),
    /fm\/fm: no request of cpu/,
  ],
  'an unknown image': [
    inContainer('fm', (container) => {
      container.image = 'refusalscop:0.1.0';
    }),
    /no image of ours is called refusalscop$/,
  ],
  'another tag': [
    inContainer('fm', (container) => {
      container.image = 'refusalscope:latest';
    }),
    /the tag latest/,
  ],
  'another entry point': [
    inContainer('fm', (container) => {
      container.command = ['/bin/sh'];
    }),
    /the entry point of the image is replaced/,
  ],
};
