import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { reportJsonSchema } from '../../../services/coordinator/report/report-schema.js';
import { projectRoot } from '../../../shared/project/root.js';

const schemaFile = join(projectRoot, 'services', 'coordinator', 'report', 'report-schema.json');
const page = readFileSync(join(projectRoot, 'docs', 'report.md'), 'utf8').split('## Comparison')[0] ?? '';
const named = new Set([...page.matchAll(/`([\w.]+)`/g)].flatMap((match) => (match[1] ?? '').split('.')));

const fieldsOf = (node: unknown): string[] => {
  if (typeof node !== 'object' || node === null) return [];
  const { properties = {}, ...rest } = node as { properties?: Record<string, unknown> };
  const own = Object.entries(properties).flatMap(([name, value]) => [name, ...fieldsOf(value)]);
  return [...own, ...Object.values(rest).flatMap(fieldsOf)];
};
const fields = new Set(fieldsOf(JSON.parse(reportJsonSchema())));

it('report-schema.json is what the schema generates', () => {
  expect(JSON.parse(readFileSync(schemaFile, 'utf8'))).toEqual(JSON.parse(reportJsonSchema()));
});

it('docs/report.md names every field of the schema', () => {
  expect(fields.size).toBeGreaterThan(120);
  expect([...fields].filter((field) => !named.has(field))).toEqual([]);
});

it('docs/report.md names no field that the schema lacks', () => {
  // Values of enums, file names and commands stand in code marks too.
  const values = new Set(JSON.stringify(JSON.parse(reportJsonSchema())).match(/[\w]+/g));
  const others = new Set([
    'report',
    'json',
    'html',
    'null',
    'refusalscope',
    'bos',
    'template',
    'content',
    'layer',
    'kl',
    'induce',
  ]);
  expect([...named].filter((name) => !fields.has(name) && !values.has(name) && !others.has(name))).toEqual([]);
});
