/** Renders an overlay with kubectl, as a person would. */
import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { projectRoot } from '../../../shared/project/root.js';
import type { Manifest } from './manifest.js';

export const hasKubectl = spawnSync('kubectl', ['version', '--client'], { stdio: 'ignore' }).status === 0;

export const OVERLAYS = readdirSync(join(projectRoot, 'k8s', 'overlays')).sort();

/** @throws with kubectl's own words */
export const renderOverlay = (overlay: string): Manifest[] => {
  const text = execFileSync('kubectl', ['kustomize', join(projectRoot, 'k8s', 'overlays', overlay)], {
    encoding: 'utf8',
    maxBuffer: 16 << 20,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return parseAllDocuments(text).map((document) => {
    if (document.errors.length > 0) throw document.errors[0];
    return document.toJS() as Manifest;
  });
};
