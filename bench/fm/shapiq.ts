/** shapiq (Python) as an outside reference: its own sampling on the same planted functions, with as many evaluations. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fault } from '../../shared/errors/fault.js';
import { projectRoot } from '../../shared/project/root.js';
import { caseOf } from './planted-budget.js';
import { NOISE, type PlantedKind } from './planted-cases.js';

export interface ShapiqRow {
  readonly kind: PlantedKind;
  readonly rows: number;
  /** By approximator of shapiq; null where it failed at this budget. */
  readonly approximators: Readonly<Record<string, { readonly r2: number; readonly recall: number } | null>>;
}

export interface ShapiqOptions {
  readonly kinds: readonly PlantedKind[];
  readonly budgets: readonly number[];
  readonly columns: number;
  readonly seeds: number;
}

export function measureShapiq(python: string, { kinds, budgets, columns, seeds }: ShapiqOptions): ShapiqRow[] {
  const folder = mkdtempSync(join(tmpdir(), 'refusalscope-shapiq-'));
  try {
    const cases = kinds.map((kind) => ({
      kind,
      seeds: Array.from({ length: seeds }, (_, seed) => {
        const { base, weights, terms, pairs } = caseOf(kind, columns, seed);
        const list = [...pairs].map((pair) => pair.split(',').map(Number));
        return { base, weights, terms, pairs: list };
      }),
    }));
    writeFileSync(join(folder, 'cases.json'), JSON.stringify({ columns, noise: NOISE, budgets, cases }));
    const script = join(projectRoot, 'bench/fm/shapiq_reference.py');
    const { status } = spawnSync(python, [script, folder], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, OMP_NUM_THREADS: '1', OPENBLAS_NUM_THREADS: '1', TQDM_DISABLE: '1' },
    });
    if (status !== 0) throw fault('INTERNAL', `bench/fm/shapiq_reference.py ended with ${status}`);
    return JSON.parse(readFileSync(join(folder, 'shapiq.json'), 'utf8')) as ShapiqRow[];
  } finally {
    rmSync(folder, { recursive: true });
  }
}
