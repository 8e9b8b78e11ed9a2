/** Each overlay renders, fits the schemas, and holds the policy. */
import { describe, expect, test } from 'vitest';
import { policyFaults } from './policy.js';
import { hasKubectl, OVERLAYS, renderOverlay } from './render-overlay.js';
import { schemaFaults } from './schema.js';

describe.skipIf(!hasKubectl)('the manifests (skipped where there is no kubectl to render them)', () => {
  test.each(OVERLAYS)('overlay %s has only what a cluster of 1.34 takes, custom resources included', (overlay) => {
    const manifests = renderOverlay(overlay);
    expect(manifests.length).toBeGreaterThan(20);
    expect(manifests.flatMap(schemaFaults)).toEqual([]);
  });

  test.each(OVERLAYS)('overlay %s fits the code and the policy', (overlay) => {
    expect(policyFaults(renderOverlay(overlay))).toEqual([]);
  });

  test('the overlays are the three that docs/deploy.md tells of', () => {
    expect(OVERLAYS).toEqual(['cpu', 'dev', 'gpu']);
  });
});
