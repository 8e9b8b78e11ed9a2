/**
 * Held-out R2 and recall of true pairs against the number of evaluations, for each way to find interactions.
 * `node dist/bench/fm/budget.js [--columns 40] [--seeds 5] [--rows 64,128,256,512,1024] [--kinds pairs,hub,groups] [--json FILE]`.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { fitBoostedTrees } from '../../services/fm/boosted-trees.js';
import { evaluateFit } from '../../services/fm/evaluate-fit.js';
import { asSurrogate, type Surrogate } from '../../services/fm/factorization-machine.js';
import type { FitData } from '../../services/fm/fit-data.js';
import { fitFactorizationMachine } from '../../services/fm/fit-factorization-machine.js';
import { fitLinearModel } from '../../services/fm/linear-model.js';
import { asPairwiseSurrogate } from '../../services/fm/pairwise-model.js';
import { fitPairwiseRegression } from '../../services/fm/pairwise-regression.js';
import { rankInteractions } from '../../services/fm/rank-interactions.js';
import { splitRows } from '../../services/fm/split-rows.js';
import { runStepsNow } from '../../services/fm/steps.js';
import { PLANTED_KINDS, type PlantedCase, type PlantedKind, plantCase } from './planted-cases.js';

const METHODS: Readonly<Record<string, (data: FitData, seed: number) => Surrogate>> = {
  linear: (data) => runStepsNow(fitLinearModel(data)),
  'factorization machine': (data, seed) => asSurrogate(runStepsNow(fitFactorizationMachine(data, { seed })).machine),
  'all-pairs ridge': (data) =>
    asPairwiseSurrogate(runStepsNow(fitPairwiseRegression(data, { penalty: 'ridge' })).model),
  'all-pairs lasso': (data) =>
    asPairwiseSurrogate(runStepsNow(fitPairwiseRegression(data, { penalty: 'lasso' })).model),
  'boosted trees': (data) => asPairwiseSurrogate(runStepsNow(fitBoostedTrees(data)).model),
};

const { values: flags } = parseArgs({
  options: {
    columns: { type: 'string', default: '40' },
    seeds: { type: 'string', default: '5' },
    rows: { type: 'string', default: '64,128,256,512,1024' },
    kinds: { type: 'string', default: 'pairs,hub,groups' },
    json: { type: 'string' },
  },
});
const columns = Number(flags.columns);
const seeds = Number(flags.seeds);
const kinds = flags.kinds.split(',').filter((kind): kind is PlantedKind => PLANTED_KINDS.includes(kind as PlantedKind));

/** Held-out rows: many, as they cost nothing here. The fits see none of them. */
const TEST_ROWS = 2000;

interface Measure {
  readonly r2: number;
  readonly recall: number;
  readonly ms: number;
}

const results: { kind: string; rows: number; method: string; measured: Measure }[] = [];
for (const kind of kinds) {
  console.log(`\n${kind}, ${columns} features, mean of ${seeds} seeds: R2 (recall of true pairs, ms)`);
  console.log(
    `| evaluations | ${Object.keys(METHODS).join(' | ')} |\n| --- |${' --- |'.repeat(Object.keys(METHODS).length)}`,
  );
  for (const rows of flags.rows.split(',').map(Number)) {
    const cells = Object.entries(METHODS).map(([method, fit]) => {
      const measured = meanOf(Array.from({ length: seeds }, (_, seed) => measure(kind, rows, seed, fit)));
      results.push({ kind, rows, method, measured });
      return `${measured.r2.toFixed(3)} (${measured.recall.toFixed(2)}, ${measured.ms.toFixed(0)})`;
    });
    console.log(`| ${rows} | ${cells.join(' | ')} |`);
  }
}
if (flags.json) writeFileSync(flags.json, `${JSON.stringify(results, undefined, 2)}\n`);

function measure(
  kind: PlantedKind,
  rows: number,
  seed: number,
  method: (data: FitData, seed: number) => Surrogate,
): Measure {
  const planted = plantCase(kind, columns, 100 + seed);
  const { design, target } = planted.draw(rows, 1 + seed);
  const split = splitRows(rows, { seed, validationShare: 0.2, testShare: 0.02 });
  const started = performance.now();
  const model = method({ design, target, loss: 'squared', split }, seed);
  const ms = performance.now() - started;
  const held = planted.draw(TEST_ROWS, 5000 + seed);
  const r2 = evaluateFit('squared', model.predict(held.design), held.target).r2 ?? Number.NaN;
  return { r2, recall: recallOf(planted, model), ms };
}

function recallOf({ pairs }: PlantedCase, model: Surrogate): number {
  if (pairs.size === 0) return Number.NaN;
  const top = runStepsNow(rankInteractions(model, { limit: pairs.size }));
  return top.filter(({ first, second }) => pairs.has(`${first},${second}`)).length / pairs.size;
}

function meanOf(measures: readonly Measure[]): Measure {
  const mean = (pick: (m: Measure) => number) => measures.reduce((sum, m) => sum + pick(m), 0) / measures.length;
  return { r2: mean((m) => m.r2), recall: mean((m) => m.recall), ms: mean((m) => m.ms) };
}
