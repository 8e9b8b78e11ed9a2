/** The whole policy: one line a fault, none for manifests that may be shipped. */
import type { Manifest } from './manifest.js';
import { hardeningFaults } from './policy/hardening.js';
import { networkFaults } from './policy/network.js';
import { settingsFaults } from './policy/settings.js';
import { trustFaults } from './policy/trust.js';
import { workloadFaults } from './policy/workloads.js';

export const policyFaults = (manifests: readonly Manifest[]): string[] => [
  ...hardeningFaults(manifests),
  ...settingsFaults(manifests),
  ...networkFaults(manifests),
  ...trustFaults(manifests),
  ...workloadFaults(manifests),
];
