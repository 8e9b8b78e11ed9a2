import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { FAULTS } from '../../../shared/errors/fault.js';
import { projectRoot } from '../../../shared/project/root.js';

const page = readFileSync(join(projectRoot, 'docs', 'errors.md'), 'utf8');
const rows = new Map(
  page
    .split('\n')
    .map((line) => line.split('|').map((cell) => cell.trim()))
    .filter((cells) => /^[A-Z][A-Z_]+$/.test(cells[1] ?? ''))
    .map((cells) => [cells[1] as string, cells.slice(2, 5)]),
);

it('docs/errors.md lists every code of the registry, with its status, retry and meaning', () => {
  const wanted = Object.entries(FAULTS).map(([code, row]) => [
    code,
    [row.status, row.retryable ? 'yes' : 'no', row.meaning],
  ]);
  expect(wanted.filter(([code, cells]) => JSON.stringify(rows.get(code as string)) !== JSON.stringify(cells))).toEqual(
    [],
  );
});

it('docs/errors.md lists no code that the registry lacks', () => {
  expect([...rows.keys()].filter((code) => !(code in FAULTS))).toEqual([]);
  expect(rows.size).toBeGreaterThan(20);
});
