/** The bench's figures as tables, and into docs/interactions.md between its markers. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fault } from '../../shared/errors/fault.js';
import { projectRoot } from '../../shared/project/root.js';
import type { EmbeddedMeasure, EmbeddedResult } from './embedded-budget.js';
import type { LibraryRow } from './libraries.js';
import type { FmBench } from './main.js';
import { METHOD_TITLES, METHODS, type Method } from './methods.js';
import { type BudgetRow, DESIGNS, type DesignRow } from './planted-budget.js';
import type { PlantedKind } from './planted-cases.js';
import type { ShapiqRow } from './shapiq.js';

const PAGE = join(projectRoot, 'docs', 'interactions.md');

/** Each part's table, by the name of its markers. Returns what it wrote, or would have. */
export function writeTables(bench: FmBench, write: boolean): string {
  const tables: Readonly<Record<string, string | undefined>> = {
    planted:
      bench.planted &&
      `${ranOn(bench)}\n\n${plantedTable(bench.planted, bench.shapiq)}\n\n${targetTable(bench.planted)}`,
    designs: bench.designs && designTable(bench.designs),
    libraries: bench.libraries && libraryTable(bench.libraries),
    embedded: bench.embedded && embeddedTables(bench.embedded),
  };
  const made = Object.entries(tables).flatMap(([name, table]) => (table === undefined ? [] : [[name, table] as const]));
  if (write)
    writeFileSync(
      PAGE,
      made.reduce((page, [name, table]) => put(page, name, table), readFileSync(PAGE, 'utf8')),
    );
  return made.map(([, table]) => table).join('\n\n');
}

function put(page: string, name: string, table: string): string {
  const [begin, end] = [`<!-- bench:fm ${name} -->`, `<!-- end of bench:fm ${name} -->`];
  const [head, rest] = page.split(begin);
  const tail = rest?.split(end)[1];
  if (tail === undefined) throw fault('CONFIG_INVALID', `${PAGE} has no place for the ${name} table any more.`);
  return `${head}${begin}\n\n${table}\n\n${end}${tail}`;
}

const ranOn = ({ machine, columns, seeds }: FmBench): string =>
  `${columns} features, mean of ${seeds} seeds; times are processor time on ${machine}.`;

const table = (header: readonly string[], rows: readonly (readonly string[])[]): string =>
  [header, header.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');

const KIND_TITLES: Readonly<Record<PlantedKind, string>> = {
  pairs: '8 disjoint pairs',
  hub: 'one feature with 8 others',
  groups: '3 groups of three (OR)',
  'low-rank': 'every pair, rank 3',
};

const shown = (value: number | null | undefined): string =>
  value === null || value === undefined ? '-' : value.toFixed(2);

function plantedTable(rows: readonly BudgetRow[], shapiq: readonly ShapiqRow[] = []): string {
  const names = Object.keys(shapiq[0]?.approximators ?? {});
  return table(
    [
      'planted',
      'evaluations',
      ...METHODS.map((method) => METHOD_TITLES[method]),
      ...names.map((name) => `shapiq ${name}`),
    ],
    rows.map(({ kind, rows: budget, methods }) => {
      const theirs = shapiq.find((row) => row.kind === kind && row.rows === budget)?.approximators;
      return [
        KIND_TITLES[kind],
        String(budget),
        ...METHODS.map(
          (method) => `${shown(methods[method].r2)} / ${method === 'linear' ? '-' : shown(methods[method].recall)}`,
        ),
        ...names.map((name) => (theirs?.[name] ? `${shown(theirs[name].r2)} / ${shown(theirs[name].recall)}` : '-')),
      ];
    }),
  );
}

/** The target of issue 7: who finds every planted pair with how little. */
function targetTable(rows: readonly BudgetRow[]): string {
  const withPairs = METHODS.filter((method) => method !== 'linear');
  const kinds = [...new Set(rows.map(({ kind }) => kind))];
  const least = (kind: PlantedKind, method: Method): string => {
    const own = rows.filter((row) => row.kind === kind);
    // From this budget on: one lucky small budget does not count.
    const failing = own.filter(({ methods }) => methods[method].recall < 1).map((row) => row.rows);
    const found = own.map((row) => row.rows).filter((budget) => budget > Math.max(0, ...failing));
    return found.length === 0 ? `more than ${Math.max(...own.map((row) => row.rows))}` : String(Math.min(...found));
  };
  return table(
    [
      'every true pair on top from',
      ...withPairs.map((method) => METHOD_TITLES[method]),
      'ms at 512: machine / lasso / trees',
    ],
    kinds.map((kind) => {
      const at512 = rows.find((row) => row.kind === kind && row.rows === 512)?.methods;
      const times =
        at512 && (['machine', 'lasso', 'trees'] as const).map((method) => at512[method].ms.toFixed(0)).join(' / ');
      return [KIND_TITLES[kind], ...withPairs.map((method) => least(kind, method)), times ?? '-'];
    }),
  );
}

const designTable = (rows: readonly DesignRow[]): string =>
  table(
    ['planted', 'evaluations', ...DESIGNS],
    rows.map(({ kind, rows: budget, designs }) => [
      KIND_TITLES[kind],
      String(budget),
      ...DESIGNS.map((design) => `${shown(designs[design].r2)} / ${shown(designs[design].recall)}`),
    ]),
  );

const fourOf = ({ r2, r2AllSizes, intact, contexts }: EmbeddedMeasure): string =>
  [r2, r2AllSizes, contexts, intact].map(shown).join(' / ');

const topOf = ({ topSigns: { right, asked }, topSize }: EmbeddedMeasure): string =>
  `${right} of ${asked} / ${shown(topSize)}`;

function embeddedTables(result: EmbeddedResult): string {
  const { prompt, features, pairs, contextPairs, contextsAPair, evaluations, methods, designs } = result;
  return [
    `Prompt \`${prompt}\`, ${features.length} features; exact 2x2 of all ${pairs} pairs in the intact model, of ${contextPairs} in ${contextsAPair} random contexts each; ${evaluations} evaluations in all.`,
    table(
      ['evaluations', ...METHODS.map((method) => METHOD_TITLES[method])],
      methods.map(({ rows, methods: own }) => [String(rows), ...METHODS.map((method) => fourOf(own[method]))]),
    ),
    'The 8 strongest predicted pairs, which the report measures: how many have the sign of their 2x2 in the intact model / the size of these 2x2 over that of the 8 strongest measured:',
    table(
      ['evaluations', ...METHODS.filter((method) => method !== 'linear').map((method) => METHOD_TITLES[method])],
      methods.map(({ rows, methods: own }) => [
        String(rows),
        ...METHODS.filter((method) => method !== 'linear').map((method) => topOf(own[method])),
      ]),
    ),
    'R2 and correlations of the chosen model, by the design of the masks:',
    table(
      ['evaluations', ...DESIGNS],
      designs.map(({ rows, designs: own }) => [String(rows), ...DESIGNS.map((design) => fourOf(own[design]))]),
    ),
  ].join('\n\n');
}

const libraryTable = (rows: readonly LibraryRow[]): string =>
  table(
    [
      'data',
      'ms a pass: ours / fastFM',
      'whole fit, s: ours / fastFM / myFM',
      'held-out R2: ours / fastFM / myFM',
      'our error over the best of theirs',
    ],
    rows.map(({ name, ours, theirs: { passMs, als, gibbs } }) => [
      name,
      `${ours.passMs.toFixed(2)} / ${passMs.toFixed(2)}`,
      [ours.seconds, als.seconds, gibbs.seconds].map((s) => s.toFixed(2)).join(' / '),
      [ours.r2, als.r2, gibbs.r2].map((r) => r.toFixed(4)).join(' / '),
      ((1 - ours.r2) / (1 - Math.max(als.r2, gibbs.r2))).toFixed(2),
    ]),
  );
