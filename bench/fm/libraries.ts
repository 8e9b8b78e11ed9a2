/**
 * Our factorization machine against fastFM (ALS) and myFM (Gibbs) on the same rows, one thread each: time of one pass, time of the
 * whole fit with its penalties chosen, and held-out R2. `node dist/bench/fm/libraries.js --python PATH [--json FILE]`.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
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

const { values: flags } = parseArgs({ options: { python: { type: 'string' }, json: { type: 'string' } } });
if (!flags.python) throw new Error('give --python PATH: an interpreter with fastFM and myfm (see bench/fm/compare.py)');

const folder = mkdtempSync(join(tmpdir(), 'refusalscope-fm-'));
const ours = CASES.map((given) => {
  const name = `${given.kind}-${given.columns}-${given.rows}`;
  const { design, target } = plantCase(given.kind, given.columns, 1).draw(given.rows, 2);
  const data: FitData = { design, target, loss: 'squared', split: splitRows(given.rows, { seed: 3, testShare: 0.3 }) };
  writeFileSync(join(folder, `${name}.x.f32`), design.values);
  writeFileSync(join(folder, `${name}.y.f64`), target);
  return { name, ...given, data, ...measure(data, given.rank) };
});
const split = (data: FitData) =>
  Object.fromEntries(Object.entries(data.split).map(([part, rows]) => [part, [...rows]]));
writeFileSync(
  join(folder, 'cases.json'),
  JSON.stringify(ours.map(({ name, columns, rank, data }) => ({ name, columns, rank, split: split(data) }))),
);
execFileSync(flags.python, [join(projectRoot, 'bench/fm/compare.py'), folder], {
  stdio: ['ignore', 'ignore', 'pipe'],
  env: { ...process.env, OMP_NUM_THREADS: '1', OPENBLAS_NUM_THREADS: '1' },
});
const theirs: Theirs[] = JSON.parse(readFileSync(join(folder, 'libraries.json'), 'utf8'));

const rows = ours.map(({ name, passMs, seconds, r2 }, c) => ({
  name,
  ours: { passMs, seconds, r2 },
  theirs: theirs[c]!,
}));
console.log(
  '| data | ms a pass: ours / fastFM | whole fit, s: ours / fastFM / myFM | held-out R2: ours / fastFM / myFM | error ratio ours : best |',
);
console.log('| --- | --- | --- | --- | --- |');
for (const { name, ours: us, theirs: them } of rows) {
  const best = Math.max(them.als.r2, them.gibbs.r2);
  const cells = [
    name,
    `${us.passMs.toFixed(2)} / ${them.passMs.toFixed(2)}`,
    [us.seconds, them.als.seconds, them.gibbs.seconds].map((s) => s.toFixed(2)).join(' / '),
    [us.r2, them.als.r2, them.gibbs.r2].map((r) => r.toFixed(4)).join(' / '),
    ((1 - us.r2) / (1 - best)).toFixed(2),
  ];
  console.log(`| ${cells.join(' | ')} |`);
}
if (flags.json) writeFileSync(flags.json, `${JSON.stringify(rows, undefined, 2)}\n`);

function measure(data: FitData, rank: number) {
  const fixed = { rank, l2Linear: 0.01, l2Factors: 0.01, start: 'random', refit: false, epochs: PASSES } as const;
  const timeOf = <T>(run: () => T): [T, number] => {
    const started = performance.now();
    return [run(), (performance.now() - started) / 1000];
  };
  const [one, oneSeconds] = timeOf(() => runStepsNow(fitFactorizationMachine(data, fixed)));
  const [whole, seconds] = timeOf(() => runStepsNow(fitFactorizationMachine(data, { rank })));
  const r2 = evaluateOnSplit(asSurrogate(whole.machine), data).test.r2 ?? Number.NaN;
  return { passMs: (oneSeconds * 1000) / one.epochs, seconds, r2 };
}
