/** Holds manifests against the schemas of the API server and the custom resources (test/fixtures/kubernetes/make-schemas.py): unknown fields are refused. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv, type ValidateFunction } from 'ajv';
import { projectRoot } from '../../../shared/project/root.js';
import type { Manifest } from './manifest.js';

interface Schemas {
  readonly kinds: Readonly<Record<string, object>>;
  readonly $defs: Readonly<Record<string, object>>;
}

const schemas = JSON.parse(readFileSync(join(projectRoot, 'test/fixtures/kubernetes/schemas.json'), 'utf8')) as Schemas;
const ajv = new Ajv({ strict: false, allErrors: true });
const compiled = new Map<string, ValidateFunction>();

/** One line a fault; none for a manifest that a cluster would take. */
export const schemaFaults = (manifest: Manifest): string[] => {
  const kind = `${manifest.apiVersion} ${manifest.kind}`;
  const schema = schemas.kinds[kind];
  if (schema === undefined) return [`${kind} ${manifest.metadata.name}: there is no schema of this kind`];
  const validate = compiled.get(kind) ?? ajv.compile({ ...schema, $defs: schemas.$defs });
  compiled.set(kind, validate);
  const fits: boolean = validate(manifest);
  if (fits) return [];
  return (validate.errors ?? []).map(({ instancePath, message, params }) => {
    const detail = 'additionalProperty' in params ? ` (${String(params.additionalProperty)})` : '';
    return `${manifest.kind} ${manifest.metadata.name}: ${instancePath} ${message}${detail}`;
  });
};
