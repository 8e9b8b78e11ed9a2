/** Held-out R2 and recall of true pairs against the number of evaluations, in planted functions whose pairs are known. */
import { evaluateFit } from '../../services/fm/evaluate-fit.js';
import type { Surrogate } from '../../services/fm/factorization-machine.js';
import { buildBoundaryDesign, type DesignKind } from '../../services/fm/mask-designs.js';
import { rankInteractions } from '../../services/fm/rank-interactions.js';
import { splitRows } from '../../services/fm/split-rows.js';
import { runStepsNow } from '../../services/fm/steps.js';
import { fitChosen, fitMethods, METHODS, type Method } from './methods.js';
import { type PlantedCase, type PlantedData, type PlantedKind, plantCase } from './planted-cases.js';

export interface Measured {
  readonly r2: number;
  readonly recall: number;
  readonly ms: number;
}

export interface BudgetRow {
  readonly kind: PlantedKind;
  readonly rows: number;
  /** Mean of the seeds. */
  readonly methods: Readonly<Record<Method, Measured>>;
}

export type AnyDesign = DesignKind | 'boundary';
export const DESIGNS: readonly AnyDesign[] = ['uniform', 'leverage', 'kernel-shap', 'boundary'];

export interface DesignRow {
  readonly kind: PlantedKind;
  readonly rows: number;
  /** Of the chosen model; r2 on uniform masks. */
  readonly designs: Readonly<Record<AnyDesign, Measured>>;
}

/** Held-out rows: many, as they cost nothing here. The fits see none of them. */
const TEST_ROWS = 2000;
/** The audit's shares; the bench has held-out rows of its own. */
const SPLIT = { validationShare: 0.15, testShare: 0.02 };
/** Before a boundary design knows where the boundary is, so many of its masks are drawn without it. */
export const FIRST_SHARE = 0.5;

export const caseOf = (kind: PlantedKind, columns: number, seed: number): PlantedCase =>
  plantCase(kind, columns, 100 + seed);

export function measureBudget(kind: PlantedKind, rows: number, columns: number, seeds: number): BudgetRow {
  const runs = Array.from({ length: seeds }, (_, seed) => {
    const planted = caseOf(kind, columns, seed);
    const fits = fitMethods(dataOf(planted.draw(rows, 1 + seed), seed), seed);
    return Object.fromEntries(
      METHODS.map((method) => [method, judge(planted, fits[method].surrogate, seed, fits[method].ms)]),
    ) as Record<Method, Measured>;
  });
  return { kind, rows, methods: meanOf(runs) };
}

export function measureDesigns(kind: PlantedKind, rows: number, columns: number, seeds: number): DesignRow {
  const runs = Array.from({ length: seeds }, (_, seed) => {
    const planted = caseOf(kind, columns, seed);
    const entries = DESIGNS.map((design) => {
      const { chosen } = fitChosen(dataOf(drawBy(planted, design, rows, seed), seed), seed);
      return [design, judge(planted, chosen.surrogate, seed, chosen.ms)];
    });
    return Object.fromEntries(entries) as Record<AnyDesign, Measured>;
  });
  return { kind, rows, designs: meanOf(runs) };
}

const dataOf = ({ design, target }: PlantedData, seed: number) => ({
  design,
  target,
  loss: 'squared' as const,
  split: splitRows(design.rows, { seed, ...SPLIT }),
});

function drawBy(planted: PlantedCase, kind: AnyDesign, rows: number, seed: number): PlantedData {
  if (kind !== 'boundary') return planted.draw(rows, 1 + seed, kind);
  const first = planted.draw(Math.round(rows * FIRST_SHARE), 1 + seed, 'leverage');
  const { chosen } = fitChosen(dataOf(first, seed), seed);
  const more = buildBoundaryDesign({
    columns: first.design.columns,
    rows: rows - first.design.rows,
    seed: 1 + seed,
    predict: (masks) => chosen.surrogate.predict(masks),
  });
  const values = new Float32Array(rows * first.design.columns);
  values.set(first.design.values);
  values.set(more.values, first.design.values.length);
  const target = Float64Array.from([...first.target, ...planted.measure(more, 7000 + seed)]);
  return { design: { rows, columns: first.design.columns, values }, target };
}

function judge(planted: PlantedCase, model: Surrogate, seed: number, ms: number): Measured {
  const held = planted.draw(TEST_ROWS, 5000 + seed);
  const r2 = evaluateFit('squared', model.predict(held.design), held.target).r2 ?? Number.NaN;
  const top = runStepsNow(rankInteractions(model, { limit: planted.pairs.size }));
  const hits = top.filter(({ first, second }) => planted.pairs.has(`${first},${second}`));
  return { r2, recall: hits.length / planted.pairs.size, ms };
}

function meanOf<Name extends string>(runs: readonly Readonly<Record<Name, Measured>>[]): Record<Name, Measured> {
  const names = Object.keys(runs[0] ?? {}) as Name[];
  const mean = (name: Name, key: keyof Measured) => runs.reduce((sum, run) => sum + run[name][key], 0) / runs.length;
  return Object.fromEntries(
    names.map((name) => [name, { r2: mean(name, 'r2'), recall: mean(name, 'recall'), ms: mean(name, 'ms') }]),
  ) as Record<Name, Measured>;
}
