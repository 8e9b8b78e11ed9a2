/**
 * Gradient-boosted regression trees on ablation masks, read as interactions (the idea of ProxySPEX, arXiv 2505.17495): trees
 * find which features act together without being told to look at pairs; each leaf is a product of its path's switches, so the
 * whole forest has an exact Fourier expansion; its largest pairs then get a ridge regression of their own. 0/1 features only.
 */
import { fault } from '../../shared/errors/fault.js';
import { meanLoss } from './factorization-machine-gradient.js';
import { assertFitData, type FitData, takePart } from './fit-data.js';
import { fitRidgeOnPairs, type PairwiseFit } from './pairwise-regression.js';
import { type ColumnData, measureTarget } from './standardise.js';
import { OPERATIONS_PER_STEP, type Steps } from './steps.js';

export interface TreeOptions {
  /** Questions from root to leaf: up to `depth` features interact in one tree. */
  readonly depth: number;
  /** Trees at most; fewer once the validation loss has not improved for `patience` of them. */
  readonly trees: number;
  readonly patience: number;
  /** Share of each tree's answer that is added. */
  readonly learningRate: number;
  /** Rows a leaf must hold. */
  readonly minLeafRows: number;
  /** Pairs handed to the final ridge, as a multiple of K; at most a quarter of the training rows. */
  readonly pairsPerFeature: number;
}

export const TREE_DEFAULTS: TreeOptions = {
  depth: 4,
  trees: 400,
  patience: 30,
  learningRate: 0.1,
  minLeafRows: 4,
  pairsPerFeature: 2,
};

export interface TreeFit extends PairwiseFit {
  /** Trees that were kept, and their own loss on the validation rows (standardised), before they were read as pairs. */
  readonly trees: number;
  readonly treeLoss: number;
}

/** A leaf: the features asked on the way (with the answer: 1 ablated, -1 intact) and what it adds. */
interface Leaf {
  readonly path: readonly (readonly [feature: number, sign: number])[];
  readonly value: number;
}

/** Throws what assertFitData throws, and REQUEST_INVALID for labels or for features other than 0 and 1. */
export function* fitBoostedTrees(data: FitData, given: Partial<TreeOptions> = {}): Steps<TreeFit> {
  assertFitData(data);
  if (data.loss !== 'squared' || data.design.values.some((x) => x !== 0 && x !== 1))
    throw fault(
      'REQUEST_INVALID',
      'boosted trees fit scores of 0/1 masks only; use a factorization machine for other data',
    );
  const options = { ...TREE_DEFAULTS, ...given };
  const { leaves, trees, treeLoss } = yield* boost(data, options);
  // About as many terms as rows is where a regression is at its worst: stay well below.
  const limit = Math.min(options.pairsPerFeature * data.design.columns, data.split.train.length / 4);
  const pairs = choosePairs(expandPairs(leaves), Math.ceil(limit));
  return { ...(yield* fitRidgeOnPairs(data, pairs)), trees, treeLoss };
}

function* boost(data: FitData, options: TreeOptions): Steps<{ leaves: Leaf[]; trees: number; treeLoss: number }> {
  const train = takePart(data, data.split.train);
  const held = takePart(data, data.split.validation);
  const unit = measureTarget(train.target, true);
  const [errors, heldTarget] = [train.target, held.target].map((part) => part.map((y) => (y - unit.mean) / unit.scale));
  const [columns, heldColumns] = [toColumns(train.design), toColumns(held.design)];
  const heldErrors = heldTarget!.slice();
  const zeros = new Float64Array(heldErrors.length);
  const leaves: Leaf[] = [];
  let best = { count: 0, trees: 0, treeLoss: meanLoss('squared', zeros, heldErrors) };
  for (let tree = 1; tree <= options.trees && tree - best.trees <= options.patience; tree++) {
    const grown = yield* growTree(columns, errors!, options);
    for (const leaf of grown) {
      leaves.push(leaf);
      addLeaf(columns, errors!, leaf);
      addLeaf(heldColumns, heldErrors, leaf);
    }
    const treeLoss = meanLoss('squared', zeros, heldErrors);
    yield {
      model: 'boosted trees',
      epoch: tree,
      epochs: options.trees,
      trainLoss: meanLoss('squared', new Float64Array(errors!.length), errors!),
      validationLoss: treeLoss,
    };
    if (treeLoss < best.treeLoss) best = { count: leaves.length, trees: tree, treeLoss };
  }
  return { leaves: leaves.slice(0, best.count), trees: best.trees, treeLoss: best.treeLoss };
}

function toColumns({ rows, columns: count, values }: FitData['design']): ColumnData {
  const columns = new Float64Array(rows * count);
  for (let r = 0; r < rows; r++) for (let k = 0; k < count; k++) columns[k * rows + r] = values[r * count + k]!;
  return { rows, count, columns };
}

/** Takes a leaf's answer out of the errors of the rows that end in it. */
function addLeaf({ rows, columns }: ColumnData, errors: Float64Array, { path, value }: Leaf): void {
  for (let r = 0; r < rows; r++)
    if (path.every(([k, sign]) => (columns[k * rows + r]! > 0 ? 1 : -1) === sign)) errors[r]! -= value;
}

function* growTree(data: ColumnData, errors: Float64Array, options: TreeOptions): Steps<Leaf[]> {
  const leaves: Leaf[] = [];
  const open: { rows: Int32Array; path: Leaf['path'] }[] = [{ rows: Int32Array.from(errors.keys()), path: [] }];
  for (let node = open.pop(); node; node = open.pop()) {
    const { rows, path } = node;
    const feature = path.length < options.depth ? yield* findSplit(data, errors, rows, options.minLeafRows) : -1;
    if (feature < 0) {
      const mean = rows.reduce((sum, r) => sum + errors[r]!, 0) / rows.length;
      leaves.push({ path, value: options.learningRate * mean });
      continue;
    }
    const isOn = (r: number) => data.columns[feature * data.rows + r]! > 0;
    open.push({ rows: rows.filter(isOn), path: [...path, [feature, 1]] });
    open.push({ rows: rows.filter((r) => !isOn(r)), path: [...path, [feature, -1]] });
  }
  return leaves;
}

/** The feature whose two sides differ most: largest fall of the squared error; -1 when none leaves enough rows on both. */
function* findSplit(data: ColumnData, errors: Float64Array, rows: Int32Array, minLeafRows: number): Steps<number> {
  const total = rows.reduce((sum, r) => sum + errors[r]!, 0);
  let best = { feature: -1, gain: 1e-12 };
  let operations = 0;
  for (let k = 0; k < data.count; k++) {
    let on = 0;
    let sum = 0;
    for (const r of rows) {
      const x = data.columns[k * data.rows + r]!;
      on += x;
      sum += x * errors[r]!;
    }
    const off = rows.length - on;
    if (on >= minLeafRows && off >= minLeafRows) {
      const gain = sum ** 2 / on + (total - sum) ** 2 / off - total ** 2 / rows.length;
      if (gain > best.gain) best = { feature: k, gain };
    }
    operations += 2 * rows.length;
    if (operations < OPERATIONS_PER_STEP) continue;
    operations = 0;
    yield;
  }
  return best.feature;
}

/**
 * The forest's Fourier coefficients of order 2, for x in {-1, 1}: a leaf on path S is value * prod_{k in S} (1 + sign_k x_k) / 2,
 * so every pair in S has value * sign_i * sign_j / 2^|S|.
 */
function expandPairs(leaves: readonly Leaf[]): Map<string, number> {
  const coefficients = new Map<string, number>();
  for (const { path, value } of leaves)
    for (let a = 0; a < path.length; a++)
      for (let b = a + 1; b < path.length; b++) {
        const [i, signI] = path[a]!;
        const [j, signJ] = path[b]!;
        const key = `${Math.min(i, j)},${Math.max(i, j)}`;
        coefficients.set(key, (coefficients.get(key) ?? 0) + (value * signI * signJ) / 2 ** path.length);
      }
  return coefficients;
}

function choosePairs(coefficients: Map<string, number>, limit: number): [number, number][] {
  return [...coefficients]
    .filter(([, size]) => Math.abs(size) > 1e-9)
    .sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]) || (a[0] < b[0] ? -1 : 1))
    .slice(0, limit)
    .map(([key]) => key.split(',').map(Number) as [number, number]);
}
