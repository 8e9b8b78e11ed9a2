/**
 * npm run bench:fm [-- --json FILE --write]: the ways to find interactions on the same evaluations. docs/interactions.md holds the tables.
 * Parts: planted (budget and designs in functions whose pairs are known), embedded (the embedded model), libraries (fastFM, myFM and shapiq in
 * a virtual environment of their own). `--only PART` runs one and keeps what FILE has of the others.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { fault, isFault } from '../../shared/errors/fault.js';
import { projectRoot } from '../../shared/project/root.js';
import { type EmbeddedResult, measureEmbedded } from './embedded-budget.js';
import { openEmbedded } from './embedded-scores.js';
import { type LibraryRow, measureLibraries } from './libraries.js';
import { type BudgetRow, type DesignRow, measureBudget, measureDesigns } from './planted-budget.js';
import type { PlantedKind } from './planted-cases.js';
import { measureShapiq, type ShapiqRow } from './shapiq.js';
import { writeTables } from './write-tables.js';

export interface FmBench {
  readonly format: 'refusalscope-fm-bench/1';
  readonly machine: string;
  readonly columns: number;
  readonly seeds: number;
  readonly planted?: readonly BudgetRow[];
  readonly designs?: readonly DesignRow[];
  readonly shapiq?: readonly ShapiqRow[];
  readonly libraries?: readonly LibraryRow[];
  readonly embedded?: EmbeddedResult;
}

/** The audit's number of features, and budgets around its 512 masks. */
const COLUMNS = 32;
const EMBEDDED_FEATURES = 24;
const BUDGETS = [64, 128, 256, 512, 1024, 2048, 4096];
/** ProxySPEX takes seconds a fit. */
const SHAPIQ_BUDGETS = [128, 256, 512, 1024];
const DESIGN_BUDGETS = [128, 512];
const KINDS: readonly PlantedKind[] = ['pairs', 'hub', 'groups'];
const PARTS = ['planted', 'designs', 'shapiq', 'libraries', 'embedded'] as const;
type Part = (typeof PARTS)[number];

const { values: flags } = parseArgs({
  options: {
    json: { type: 'string' },
    only: { type: 'string', multiple: true },
    seeds: { type: 'string', default: '3' },
    budgets: { type: 'string', default: BUDGETS.join(',') },
    scores: { type: 'string' },
    write: { type: 'boolean', default: false },
  },
});

const say = (text: string): void => void process.stderr.write(`${text}\n`);

async function run(): Promise<void> {
  const parts = readParts(flags.only);
  const [seeds, budgets] = [
    wholeOf('seeds', flags.seeds),
    flags.budgets.split(',').map((text) => wholeOf('budgets', text)),
  ];
  // Parts that are not run this time stay as the file has them.
  const known = flags.json !== undefined && existsSync(flags.json) ? JSON.parse(readFileSync(flags.json, 'utf8')) : {};
  let bench: FmBench = {
    ...known,
    format: 'refusalscope-fm-bench/1',
    machine: `${cpus().length} x ${cpus()[0]?.model.trim()}`,
    columns: COLUMNS,
    seeds,
  };
  for (const part of parts) {
    bench = { ...bench, ...(await measure(part, seeds, budgets)) };
    if (flags.json !== undefined) writeFileSync(flags.json, `${JSON.stringify(bench, undefined, 2)}\n`);
  }
  const text = writeTables(bench, flags.write);
  process.stdout.write(`${text}\n`);
}

async function measure(part: Part, seeds: number, budgets: readonly number[]): Promise<Partial<FmBench>> {
  switch (part) {
    case 'planted':
      return { planted: eachOf(budgets, (kind, rows) => measureBudget(kind, rows, COLUMNS, seeds)) };
    case 'designs':
      return { designs: eachOf(DESIGN_BUDGETS, (kind, rows) => measureDesigns(kind, rows, COLUMNS, seeds)) };
    case 'shapiq':
      return {
        shapiq: measureShapiq(setUpPython(), { kinds: KINDS, budgets: SHAPIQ_BUDGETS, columns: COLUMNS, seeds }),
      };
    case 'libraries':
      return { libraries: measureLibraries(setUpPython()) };
    case 'embedded': {
      const model = await openEmbedded(0, EMBEDDED_FEATURES, flags.scores, say);
      try {
        return { embedded: await measureEmbedded(model, { budgets, designBudgets: DESIGN_BUDGETS }) };
      } finally {
        await model.stop();
      }
    }
  }
}

const eachOf = <Row>(budgets: readonly number[], measureRow: (kind: PlantedKind, rows: number) => Row): Row[] =>
  KINDS.flatMap((kind) =>
    budgets.map((rows) => {
      say(`planted ${kind}, ${rows} evaluations`);
      return measureRow(kind, rows);
    }),
  );

/** `tables`: no part, only the tables of what the file has. */
function readParts(given: readonly string[] | undefined): readonly Part[] {
  const bad = given?.find((name) => name !== 'tables' && !PARTS.includes(name as Part));
  if (bad !== undefined) throw fault('REQUEST_INVALID', `--only is ${bad}; it may be ${PARTS.join(', ')} or tables.`);
  return given === undefined ? PARTS : PARTS.filter((part) => given.includes(part));
}

function wholeOf(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > 65_536)
    throw fault('REQUEST_INVALID', `--${name} has ${text}; whole numbers from 1 to 65536 are allowed.`);
  return value;
}

/** The interpreter of the bench's own environment; made at the first call. */
function setUpPython(): string {
  const { status, stdout } = spawnSync('sh', [join(projectRoot, 'bench/fm/setup.sh')], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (status !== 0) throw fault('CONFIG_INVALID', 'The Python libraries of the bench could not be set up; see above.');
  return stdout.trim().split('\n').at(-1)!;
}

run().catch((problem: unknown) => {
  process.stderr.write(
    `${isFault(problem) ? problem.message : String(problem instanceof Error ? problem.stack : problem)}\n`,
  );
  process.exitCode = 1;
});
