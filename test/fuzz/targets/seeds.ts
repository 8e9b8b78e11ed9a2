/** Sound files to start from: small fixtures by path, and whole folders of them. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { projectRoot } from '../../../shared/project/root.js';
import type { FuzzInput } from '../harness/fuzz-target.js';
import type { Json } from '../mutate/mutate-json.js';

const FIXTURES = join(projectRoot, 'test', 'fixtures');

export const seedBytes = (path: string): Buffer => readFileSync(join(FIXTURES, path));

export const seedJson = (path: string): Json => JSON.parse(seedBytes(path).toString('utf8')) as Json;

/** All files below a folder of fixtures, named from `root` on. */
export const seedFolder = (folder: string, root = folder): FuzzInput =>
  Object.fromEntries(
    readdirSync(join(FIXTURES, folder), { recursive: true, encoding: 'utf8' })
      .map((name) => join(FIXTURES, folder, name))
      .filter((path) => statSync(path).isFile())
      .map((path) => [relative(join(FIXTURES, root), path), readFileSync(path)]),
  );
