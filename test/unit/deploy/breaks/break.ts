/** Ways to break one thing in rendered manifests. */
import { type Container, type Manifest, mainContainerOf, type Workload, workloadsOf } from '../manifest.js';

export type Break = (manifests: Manifest[]) => void;

export const named = <Item extends Manifest>(items: readonly Item[], name: string): Item => {
  const found = items.find(({ metadata }) => metadata.name === name);
  if (found === undefined) throw new Error(`the overlay has no ${name}`);
  return found;
};

export const inWorkload =
  (name: string, change: (workload: Workload) => void): Break =>
  (manifests) =>
    change(named(workloadsOf(manifests), name));

export const inContainer = (name: string, change: (container: Container) => void): Break =>
  inWorkload(name, (workload) => change(mainContainerOf(workload)));

export const inSetting = (name: string, setting: string, value: string | undefined): Break =>
  inContainer(name, (container) => {
    container.env = (container.env ?? []).filter((entry) => entry.name !== setting);
    if (value !== undefined) container.env.push({ name: setting, value });
  });

export const without =
  (kind: string, name: string): Break =>
  (manifests) => {
    manifests.splice(
      manifests.findIndex((one) => one.kind === kind && one.metadata.name === name),
      1,
    );
  };

/** What is broken, how, and the line that the policy must say of it. */
export type Breaks = Readonly<Record<string, readonly [Break, RegExp]>>;
