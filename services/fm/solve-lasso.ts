/**
 * Lasso over product columns by cyclic coordinate descent with an active set (Friedman, Hastie and Tibshirani, 2010).
 * Minimises mean_r e_r^2 / 2 + l1 * sum_{t>0} |w_t|, the form of scikit-learn's Lasso; the intercept (term 0) is free.
 */
import { dot, type ProductColumns, writeTerm } from './product-columns.js';
import { OPERATIONS_PER_STEP, type Steps } from './steps.js';

/** Largest change of a weight, in standardised units, at which a penalty counts as solved. */
const TOLERANCE = 1e-7;
const MAX_SWEEPS = 2000;

export interface LassoState {
  readonly columns: ProductColumns;
  readonly weights: Float64Array;
  /** [n] target minus prediction. */
  readonly errors: Float64Array;
  /** [terms] mean square of each term over the rows. */
  readonly sizes: Float64Array;
}

export function* createLasso(columns: ProductColumns, target: Float64Array): Steps<LassoState> {
  const term = new Float64Array(target.length);
  const sizes = new Float64Array(columns.terms);
  for (let t = 0; t < columns.terms; t++) {
    writeTerm(columns, t, term);
    sizes[t] = dot(term, term) / term.length;
    if ((t * term.length) % OPERATIONS_PER_STEP < term.length) yield;
  }
  return { columns, weights: new Float64Array(columns.terms), errors: target.slice(), sizes };
}

/** The least l1 at which every weight is 0 (target of mean 0). */
export function* findLargestL1({ columns, errors }: LassoState): Steps<number> {
  const term = new Float64Array(errors.length);
  let largest = 0;
  for (let t = 1; t < columns.terms; t++) {
    writeTerm(columns, t, term);
    largest = Math.max(largest, Math.abs(dot(term, errors)) / term.length);
    if ((t * term.length) % OPERATIONS_PER_STEP < term.length) yield;
  }
  return largest;
}

/** Solves for one l1 from where the state stands: a full sweep, sweeps over what is not 0, until a full sweep changes nothing. */
export function* descendLasso(state: LassoState, l1: number): Steps<void> {
  const all = Int32Array.from({ length: state.columns.terms }, (_, t) => t);
  for (let sweep = 0; sweep < MAX_SWEEPS; sweep++) {
    if ((yield* sweepOnce(state, all, l1)) < TOLERANCE) return;
    const active = all.filter((t) => t === 0 || state.weights[t] !== 0);
    for (; sweep < MAX_SWEEPS; sweep++) if ((yield* sweepOnce(state, active, l1)) < TOLERANCE) break;
  }
}

/** Returns the largest change of a weight. */
function* sweepOnce({ columns, weights, errors, sizes }: LassoState, terms: Int32Array, l1: number): Steps<number> {
  const rows = errors.length;
  const term = new Float64Array(rows);
  let largest = 0;
  let operations = 0;
  for (const t of terms) {
    if (sizes[t] === 0) continue;
    writeTerm(columns, t, term);
    const before = weights[t]!;
    const pull = dot(term, errors) / rows + before * sizes[t]!;
    const after = (t === 0 ? pull : Math.sign(pull) * Math.max(Math.abs(pull) - l1, 0)) / sizes[t]!;
    if (after !== before) {
      weights[t] = after;
      for (let r = 0; r < rows; r++) errors[r]! += (before - after) * term[r]!;
      largest = Math.max(largest, Math.abs(after - before));
    }
    operations += 3 * rows;
    if (operations < OPERATIONS_PER_STEP) continue;
    operations = 0;
    yield;
  }
  return largest;
}
