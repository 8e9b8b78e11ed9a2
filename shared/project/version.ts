import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from './root.js';

/** The version in package.json, for provenance and `--version`. */
export const projectVersion: string = (
  JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')) as { version: string }
).version;
