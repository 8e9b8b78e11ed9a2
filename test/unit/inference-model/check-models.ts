/**
 * `npm run check:models -- [--json FILE]`: compares every tiny model with transformers, prints the differences as a table, writes
 * them to FILE, and fails if one is above its limit.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { compareModel } from './compare-model.js';
import { MODEL_COMPARISONS } from './model-comparisons.js';

const { values } = parseArgs({ options: { json: { type: 'string' } } });
const rows = [];
for (const { limit, format, ...comparison } of MODEL_COMPARISONS) {
  const differences = await compareModel(comparison);
  const passed = Math.max(...Object.values(differences)) <= limit;
  rows.push({ model: comparison.model, format, ...differences, limit, passed });
}
const digits = (value: unknown) => (typeof value === 'number' ? value.toExponential(1) : String(value));
const line = (cells: readonly unknown[]) => `| ${cells.map(digits).join(' | ')} |`;
const columns = ['model', 'format', 'logits', 'edited', 'continued', 'limit', 'passed'] as const;
console.log('Largest difference from float32 transformers, relative to the largest logit.\n');
console.log(
  [line(columns), line(columns.map(() => '---')), ...rows.map((row) => line(columns.map((c) => row[c])))].join('\n'),
);
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ rows }, undefined, 2)}\n`);
if (rows.some(({ passed }) => !passed)) process.exitCode = 1;
