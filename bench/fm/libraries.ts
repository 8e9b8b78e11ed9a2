/**
 * Our factorization machine against fastFM (ALS) and myFM (Gibbs) on the same rows, one thread each: time of one pass, time of the
 * whole fit with its penalties chosen, and held-out R2.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { evaluateOnSplit } from '../../services/fm/evaluate-fit.js';
import { asSurrogate } from '../../services/fm/factorization-machine.js';
import type { FitData } from '../../services/fm/fit-data.js';
import { fitFactorizationMachine } from '../../services/fm/fit-factorization-machine.js';
import { splitRows } from '../../services/fm/split-rows.js';
import { runStepsNow } from '../../services/fm/steps.js';
import { projectRoot } from '../../shared/project/root.js';
import { type PlantedKind, plantCase } from './planted-cases.js';

const CASES: readonly { kind: PlantedKind; columns: number; rows: number; rank: number }[] = [
  { kind: 'pairs', columns: 40, rows: 512, rank: 16 },
  { kind: 'pairs', columns: 40, rows: 4096, rank: 16 },
  { kind: 'hub', columns: 100, rows: 1024, rank: 16 },
  { kind: 'groups', columns: 60, rows: 2048, rank: 16 },
  { kind: 'low-rank', columns: 100, rows: 2048, rank: 8 },
  { kind: 'low-rank', columns: 200, rows: 4096, rank: 8 },
];
const PASSES = 50;

interface Theirs {
  readonly name: string;
  readonly passMs: number;
  readonly als: { readonly r2: number; readonly seconds: number };
  readonly gibbs: { readonly r2: number; readonly seconds: number };
}

export interface LibraryRow {
  readonly name: string;
  readonly ours: { readonly passMs: number; readonly seconds: number; readonly r2: number };
  readonly theirs: Theirs;
}

/** @param python an interpreter with fastFM and myfm. */
export function measureLibraries(python: string): LibraryRow[] {
  const folder = mkdtempSync(join(tmpdir(), 'refusalscope-fm-'));
  try {
    const ours = CASES.map((given) => measureOurs(given, folder));
    writeFileSync(join(folder, 'cases.json'), JSON.stringify(ours.map(({ file }) => file)));
    execFileSync(python, [join(projectRoot, 'bench/fm/compare.py'), folder], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, OMP_NUM_THREADS: '1', OPENBLAS_NUM_THREADS: '1', TQDM_DISABLE: '1' },
    });
    const theirs: Theirs[] = JSON.parse(readFileSync(join(folder, 'libraries.json'), 'utf8'));
    return ours.map(({ file, measured }, c) => ({ name: file.name, ours: measured, theirs: theirs[c]! }));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function measureOurs({ kind, columns, rows, rank }: (typeof CASES)[number], folder: string) {
  const name = `${kind}-${columns}-${rows}`;
  const { design, target } = plantCase(kind, columns, 1).draw(rows, 2);
  const data: FitData = { design, target, loss: 'squared', split: splitRows(rows, { seed: 3, testShare: 0.3 }) };
  writeFileSync(join(folder, `${name}.x.f32`), design.values);
  writeFileSync(join(folder, `${name}.y.f64`), target);
  const split = Object.fromEntries(Object.entries(data.split).map(([part, own]) => [part, [...own]]));
  return { file: { name, columns, rank, split }, measured: measure(data, rank) };
}

function measure(data: FitData, rank: number) {
  const fixed = { rank, l2Linear: 0.01, l2Factors: 0.01, start: 'random', refit: false, epochs: PASSES } as const;
  const timeOf = <T>(run: () => T): [T, number] => {
    const start = process.cpuUsage();
    const result = run();
    const { user, system } = process.cpuUsage(start);
    return [result, (user + system) / 1e6];
  };
  const [one, oneSeconds] = timeOf(() => runStepsNow(fitFactorizationMachine(data, fixed)));
  const [whole, seconds] = timeOf(() => runStepsNow(fitFactorizationMachine(data, { rank })));
  const r2 = evaluateOnSplit(asSurrogate(whole.machine), data).test.r2 ?? Number.NaN;
  return { passMs: (oneSeconds * 1000) / one.epochs, seconds, r2 };
}
