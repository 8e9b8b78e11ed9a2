/** No container is root, writes where it should not, holds a right it does not need, or can eat its node. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../../../../shared/project/root.js';
import { allContainersOf, type Container, type Manifest, podOf, type Workload, workloadsOf } from '../manifest.js';

const { version } = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')) as { version: string };
/** The targets of deploy/Dockerfile, by image name. */
export const IMAGES = ['refusalscope', 'refusalscope-gpu', 'refusalscope-fetch'];
const RESOURCES = ['cpu', 'memory', 'ephemeral-storage'];

export const hardeningFaults = (manifests: readonly Manifest[]): string[] =>
  workloadsOf(manifests).flatMap((workload) => [
    ...podFaults(workload),
    ...allContainersOf(workload).flatMap((container) => containerFaults(workload, container)),
  ]);

const podFaults = (workload: Workload): string[] => {
  const pod = podOf(workload);
  const { runAsNonRoot, runAsUser, seccompProfile } = pod.securityContext ?? {};
  return said(`${workload.kind} ${workload.metadata.name}`, [
    [runAsNonRoot === true && (runAsUser ?? 0) > 0, 'the pod may run as root'],
    [seccompProfile?.type === 'RuntimeDefault', 'the pod has no seccomp profile'],
    [pod.automountServiceAccountToken === false, "the pod is given a token of the cluster's API"],
    [pod.enableServiceLinks === false, 'the pod is given variables of other services'],
    [pod.hostNetwork !== true && pod.hostPID !== true, 'the pod shares a namespace with its node'],
    [!(pod.volumes ?? []).some((volume) => 'hostPath' in volume), 'the pod mounts a folder of its node'],
    [!(pod.volumes ?? []).some(isUnbounded), 'an emptyDir has no sizeLimit'],
  ]);
};

const containerFaults = (workload: Workload, container: Container): string[] => {
  const context = container.securityContext ?? {};
  const { requests = {}, limits = {} } = container.resources ?? {};
  const [image, tag] = container.image.split('/').at(-1)!.split(':');
  return said(`${workload.kind} ${workload.metadata.name}/${container.name}`, [
    [context.readOnlyRootFilesystem === true, 'the root file system can be written'],
    [context.allowPrivilegeEscalation === false, 'privileges can grow'],
    [context.privileged !== true, 'the container is privileged'],
    [context.runAsUser !== 0 && context.runAsNonRoot !== false, 'the container runs as root'],
    [context.capabilities?.drop?.includes('ALL') === true, 'capabilities are kept'],
    [(context.capabilities?.add ?? []).length === 0, 'capabilities are added'],
    ...RESOURCES.map((name): Check => [name in limits, `no limit of ${name}`]),
    ...RESOURCES.map((name): Check => [name in requests, `no request of ${name}`]),
    [IMAGES.includes(image!), `no image of ours is called ${image}`],
    [tag === version, `the image has the tag ${tag}, the project is ${version}`],
    [container.command === undefined, 'the entry point of the image is replaced'],
  ]);
};

const isUnbounded = (volume: Record<string, unknown>): boolean =>
  'emptyDir' in volume && !('sizeLimit' in (volume.emptyDir as object));

type Check = readonly [holds: boolean, otherwise: string];

export const said = (about: string, checks: readonly Check[]): string[] =>
  checks.filter(([holds]) => !holds).map(([, otherwise]) => `${about}: ${otherwise}`);
