/** Owns the style sheets and scripts of the pages: read once, with the digest that a content security policy names. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../../shared/project/root.js';

export interface Asset {
  readonly text: string;
  /** For a policy: 'sha256-<base64>', quotes included. */
  readonly policySource: string;
}

/** Joins files of services/console/assets in order. */
export function loadAsset(...names: readonly string[]): Asset {
  const text = names
    .map((name) => readFileSync(join(projectRoot, 'services', 'console', 'assets', name), 'utf8'))
    .join('\n');
  return { text, policySource: `'sha256-${createHash('sha256').update(text, 'utf8').digest('base64')}'` };
}
