/**
 * The embedded model: held-out R2 and agreement with exact 2x2 ablations against the number of evaluations, by method, and by the design
 * of the masks. Two truths for a pair: in the intact model, as the report measures it, and the mean over random contexts, which is what a
 * model of second order estimates.
 */
import { buildDesign, type DesignMatrix, takeRows, takeTargets } from '../../services/fm/design-matrix.js';
import { evaluateFit } from '../../services/fm/evaluate-fit.js';
import { buildBoundaryDesign, buildMaskDesign } from '../../services/fm/mask-designs.js';
import { splitRows } from '../../services/fm/split-rows.js';
import { compareTwoByTwo, measureAgreement, planTwoByTwo } from '../../services/fm/two-by-two.js';
import { createSeededRandom } from '../../shared/random/seeded-random.js';
import type { EmbeddedModel } from './embedded-scores.js';
import { fitChosen, fitMethods, METHODS, type Method, type MethodFit } from './methods.js';
import { type AnyDesign, DESIGNS, FIRST_SHARE } from './planted-budget.js';

export interface EmbeddedMeasure {
  /** On uniform masks that no fit saw. */
  readonly r2: number | null;
  /** On masks of every size that no fit saw: where the audit's questions lie. */
  readonly r2AllSizes: number | null;
  /** Rank correlation of pairs with exact 2x2 ablations, in the intact model and in random contexts. */
  readonly intact: number | null;
  readonly contexts: number | null;
  /** Of the 8 strongest predicted pairs, which the report measures: how many have the sign of the 2x2 in the intact model, of those that have one. */
  readonly topSigns: { readonly right: number; readonly asked: number };
  /** Sum of their |2x2| over that of the 8 strongest measured: 1 is the best choice of pairs to measure. */
  readonly topSize: number | null;
}

export interface EmbeddedResult {
  readonly prompt: string;
  readonly features: readonly string[];
  readonly pairs: number;
  readonly contextPairs: number;
  readonly contextsAPair: number;
  readonly evaluations: number;
  readonly methods: readonly { readonly rows: number; readonly methods: Readonly<Record<Method, EmbeddedMeasure>> }[];
  readonly designs: readonly {
    readonly rows: number;
    readonly designs: Readonly<Record<AnyDesign, EmbeddedMeasure>>;
  }[];
}

export interface EmbeddedOptions {
  readonly budgets: readonly number[];
  readonly designBudgets: readonly number[];
}

const TEST_ROWS = 384;
/** Pairs that are measured in random contexts too: four evaluations a context each. */
const CONTEXT_PAIRS = 24;
const CONTEXTS = 8;
/** As many as the audit measures. */
const REPORTED_PAIRS = 8;
/** Nats: below it a 2x2 of float32 scores has no sign to speak of. */
const SIGN_FLOOR = 0.01;
const SPLIT = { validationShare: 0.15, testShare: 0.02 };
const SEEDS = { masks: 11, uniformTest: 12, sizesTest: 13, contexts: 14, boundary: 15 };

interface Truth {
  readonly uniform: Scored;
  readonly allSizes: Scored;
  readonly intact: readonly PairEffect[];
  readonly contexts: readonly PairEffect[];
}

interface Scored {
  readonly design: DesignMatrix;
  readonly target: Float64Array;
}

interface PairEffect {
  readonly first: number;
  readonly second: number;
  readonly measured: number;
}

export async function measureEmbedded(model: EmbeddedModel, options: EmbeddedOptions): Promise<EmbeddedResult> {
  const columns = model.features.length;
  let evaluations = 0;
  const scored = async (design: DesignMatrix): Promise<Scored> => {
    evaluations += design.rows;
    return { design, target: await model.score(design) };
  };
  const truth = await measureTruth(columns, scored);
  const uniform = await scored(
    buildMaskDesign({ kind: 'uniform', columns, rows: Math.max(...options.budgets), seed: SEEDS.masks }),
  );
  const methods = options.budgets.map((rows) => {
    const fits = fitMethods(dataOf(firstRows(uniform, rows)), 1);
    return { rows, methods: mapNames(METHODS, (method) => judge(truth, fits[method])) };
  });
  const designs = [];
  for (const rows of options.designBudgets) {
    const fits: Partial<Record<AnyDesign, EmbeddedMeasure>> = {};
    for (const kind of DESIGNS) {
      const data = kind === 'uniform' ? firstRows(uniform, rows) : await drawBy(kind, columns, rows, scored);
      fits[kind] = judge(truth, fitChosen(dataOf(data), 1).chosen);
    }
    designs.push({ rows, designs: fits as Record<AnyDesign, EmbeddedMeasure> });
  }
  return {
    prompt: model.prompt,
    features: model.features,
    pairs: truth.intact.length,
    contextPairs: truth.contexts.length,
    contextsAPair: CONTEXTS,
    evaluations,
    methods,
    designs,
  };
}

const mapNames = <Name extends string, Value>(names: readonly Name[], of: (name: Name) => Value) =>
  Object.fromEntries(names.map((name) => [name, of(name)])) as Record<Name, Value>;

async function measureTruth(columns: number, scored: (design: DesignMatrix) => Promise<Scored>): Promise<Truth> {
  const test = (kind: 'uniform' | 'leverage', seed: number) =>
    scored(buildMaskDesign({ kind, columns, rows: TEST_ROWS, seed, withEnds: false }));
  const every = Array.from({ length: columns }, (_, first) =>
    Array.from({ length: columns - first - 1 }, (_, i) => ({ first, second: first + 1 + i, predicted: 0 })),
  ).flat();
  const random = createSeededRandom(SEEDS.contexts);
  const some = random.pick(every, CONTEXT_PAIRS);
  const contexts = Array.from({ length: CONTEXTS }, () => Uint8Array.from({ length: columns }, () => random.below(2)));
  const measured = async (pairs: typeof every, around?: readonly Uint8Array[]): Promise<readonly PairEffect[]> => {
    const plan = planTwoByTwo(pairs, columns, around);
    return compareTwoByTwo(plan, (await scored(plan.masks)).target).pairs;
  };
  return {
    intact: await measured(every),
    uniform: await test('uniform', SEEDS.uniformTest),
    allSizes: await test('leverage', SEEDS.sizesTest),
    contexts: await measured(some, contexts),
  };
}

function firstRows({ design, target }: Scored, rows: number): Scored {
  const order = Int32Array.from({ length: rows }, (_, row) => row);
  return { design: takeRows(design, order), target: takeTargets(target, order) };
}

const dataOf = ({ design, target }: Scored) => ({
  design,
  target,
  loss: 'squared' as const,
  split: splitRows(design.rows, { seed: 1, ...SPLIT }),
});

async function drawBy(
  kind: Exclude<AnyDesign, 'uniform'>,
  columns: number,
  rows: number,
  scored: (design: DesignMatrix) => Promise<Scored>,
): Promise<Scored> {
  if (kind !== 'boundary') return scored(buildMaskDesign({ kind, columns, rows, seed: SEEDS.masks }));
  const half = Math.round(rows * FIRST_SHARE);
  const first = await scored(buildMaskDesign({ kind: 'leverage', columns, rows: half, seed: SEEDS.masks }));
  const { chosen } = fitChosen(dataOf(first), 1);
  const predict = (masks: DesignMatrix) => chosen.surrogate.predict(masks);
  const more = await scored(buildBoundaryDesign({ columns, rows: rows - half, seed: SEEDS.boundary, predict }));
  const masks = [first, more].flatMap(({ design }) =>
    Array.from({ length: design.rows }, (_, r) =>
      Uint8Array.from(design.values.subarray(r * columns, (r + 1) * columns)),
    ),
  );
  return { design: buildDesign(masks), target: Float64Array.from([...first.target, ...more.target]) };
}

function judge(truth: Truth, { surrogate }: MethodFit): EmbeddedMeasure {
  const r2 = ({ design, target }: Scored) => evaluateFit('squared', surrogate.predict(design), target).r2 ?? null;
  const agreement = (pairs: readonly PairEffect[]) =>
    measureAgreement(
      pairs.map(({ first, second }) => surrogate.pairWeight(first, second)),
      pairs.map(({ measured }) => measured),
    ).rankCorrelation ?? null;
  const sizeOf = (pairs: readonly PairEffect[]) => pairs.reduce((sum, { measured }) => sum + Math.abs(measured), 0);
  const predicted = ({ first, second }: PairEffect) => surrogate.pairWeight(first, second);
  const strongest = (by: (pair: PairEffect) => number) =>
    [...truth.intact].sort((a, b) => Math.abs(by(b)) - Math.abs(by(a))).slice(0, REPORTED_PAIRS);
  const top = strongest(predicted).filter((pair) => predicted(pair) !== 0);
  const signed = top.filter(({ measured }) => Math.abs(measured) > SIGN_FLOOR);
  const best = sizeOf(strongest(({ measured }) => measured));
  return {
    topSigns: {
      right: signed.filter((pair) => predicted(pair) * pair.measured > 0).length,
      asked: signed.length,
    },
    topSize: best === 0 || top.length === 0 ? null : sizeOf(top) / best,
    r2: r2(truth.uniform),
    r2AllSizes: r2(truth.allSizes),
    intact: agreement(truth.intact),
    contexts: agreement(truth.contexts),
  };
}
