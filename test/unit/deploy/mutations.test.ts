/** The policy can fail: each test breaks one thing in a rendered overlay and names the line that must come of it. */
import { describe, expect, test } from 'vitest';
import { named } from './breaks/break.js';
import { BREAKS_OF_NETWORK } from './breaks/break-network.js';
import { BREAKS_OF_PODS } from './breaks/break-pods.js';
import { BREAKS_OF_SETTINGS } from './breaks/break-settings.js';
import { BREAKS_OF_TRUST } from './breaks/break-trust.js';
import { BREAKS_OF_WORKLOADS } from './breaks/break-workloads.js';
import { type Manifest, mainContainerOf, podOf, type Workload, workloadsOf } from './manifest.js';
import { policyFaults } from './policy.js';
import { hasKubectl, renderOverlay } from './render-overlay.js';
import { schemaFaults } from './schema.js';

const BREAKS = {
  ...BREAKS_OF_PODS,
  ...BREAKS_OF_SETTINGS,
  ...BREAKS_OF_NETWORK,
  ...BREAKS_OF_TRUST,
  ...BREAKS_OF_WORKLOADS,
};

describe.skipIf(!hasKubectl)('the policy finds (skipped where there is no kubectl)', () => {
  const rendered = hasKubectl ? renderOverlay('cpu') : [];

  test('nothing in the overlay as it is', () => {
    expect(policyFaults(structuredClone(rendered))).toEqual([]);
  });

  test.each(Object.entries(BREAKS))('%s', (_, [change, text]) => {
    const broken = structuredClone(rendered);
    change(broken);
    expect(policyFaults(broken)).toContainEqual(expect.stringMatching(text));
  });

  test('GPU nodes that are not asked for, or not tolerated', () => {
    const broken = renderOverlay('gpu');
    const pod = podOf(named(workloadsOf(broken), 'inference'));
    delete pod.nodeSelector;
    delete pod.tolerations;
    expect(policyFaults(broken)).toEqual([
      'Deployment inference: uses a GPU and asks for no GPU node',
      'Deployment inference: uses a GPU and does not tolerate GPU nodes',
    ]);
  });
});

describe.skipIf(!hasKubectl)('the schemas find (skipped where there is no kubectl)', () => {
  const rendered = hasKubectl ? renderOverlay('cpu') : [];
  const faultsAfter = (kind: string, change: (manifest: Manifest) => void): string[] => {
    const manifest = structuredClone(rendered.find((one) => one.kind === kind)!);
    change(manifest);
    return schemaFaults(manifest);
  };

  test('a misspelt field of a container', () => {
    const faults = faultsAfter('Deployment', (manifest) => {
      Object.assign(mainContainerOf(manifest as Workload), { redinessProbe: {} });
    });
    expect(faults).toContainEqual(expect.stringMatching(/containers\/0 must NOT have additional.*\(redinessProbe\)/));
  });

  test('a wrong type, and a missing field', () => {
    const faults = faultsAfter('Deployment', (manifest) => {
      Object.assign((manifest as Workload).spec, { replicas: 'two', selector: undefined });
    });
    expect(faults).toContainEqual(expect.stringMatching(/spec\/replicas must be/));
    expect(faults).toContainEqual(expect.stringMatching(/must have required property 'selector'/));
  });

  test('a misspelt field of a custom resource', () => {
    const faults = faultsAfter('ScaledObject', (manifest) => {
      Object.assign((manifest as unknown as { spec: object }).spec, { minReplicas: 1 });
    });
    expect(faults).toContainEqual(expect.stringMatching(/spec must NOT have additional.*\(minReplicas\)/));
  });

  test('a kind of which nothing is known', () => {
    expect(schemaFaults({ apiVersion: 'v1', kind: 'Pods', metadata: { name: 'x' } })).toEqual([
      'v1 Pods x: there is no schema of this kind',
    ]);
  });
});
