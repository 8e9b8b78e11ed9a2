/**
 * Ridge and logistic regression over product columns, to full precision and without forming X^T X: conjugate gradients for
 * squared loss, Newton steps solved by conjugate gradients for log-loss. The intercept (term 0) is never penalised.
 */
import { dot, multiply, multiplyTransposed, type ProductColumns } from './product-columns.js';
import type { Steps } from './steps.js';

/** Relative size of the residual at which conjugate gradients stop: full precision, and enough to compare penalties by. */
const TOLERANCE = 1e-10;
export const ROUGH_TOLERANCE = 1e-4;
const MAX_ITERATIONS = 1000;
const MAX_NEWTON_STEPS = 50;

/**
 * Minimises mean_r (y_r - (X w)_r)^2 + l2 * sum_{t>0} w_t^2 (scikit-learn's Ridge with alpha = l2 * n).
 * @param start a guess, for warm starts along a path of l2; not changed.
 */
export function* solveRidge(
  columns: ProductColumns,
  target: Float64Array,
  l2: number,
  start: Float64Array = new Float64Array(columns.terms),
  tolerance = TOLERANCE,
): Steps<Float64Array> {
  const curvature = new Float64Array(target.length).fill(1);
  const residual = yield* multiply(columns, start);
  for (let r = 0; r < residual.length; r++) residual[r] = target[r]! - residual[r]!;
  const downhill = yield* multiplyTransposed(columns, residual);
  for (let t = 0; t < downhill.length; t++) downhill[t] = downhill[t]! / target.length - (t > 0 ? l2 * start[t]! : 0);
  const step = yield* conjugateGradients(columns, curvature, l2, downhill, tolerance);
  return step.map((change, t) => start[t]! + change);
}

/** Minimises mean_r log(1 + exp(-s_r (X w)_r)) + l2 * sum_{t>0} w_t^2, s = +-1 (scikit-learn's C = 1 / (2 n l2)). l2 > 0. */
export function* solveLogistic(
  columns: ProductColumns,
  labels: Float64Array,
  l2: number,
  start: Float64Array = new Float64Array(columns.terms),
): Steps<Float64Array> {
  let weights = start.slice();
  let logits = yield* multiply(columns, weights);
  let objective = meanLogLoss(logits, labels) + penalty(weights, l2);
  for (let newton = 0; newton < MAX_NEWTON_STEPS; newton++) {
    const probabilities = logits.map(sigmoid);
    const downhill = yield* multiplyTransposed(
      columns,
      labels.map((y, r) => (y - probabilities[r]!) / labels.length),
    );
    for (let t = 1; t < downhill.length; t++) downhill[t]! -= 2 * l2 * weights[t]!;
    const step = yield* conjugateGradients(
      columns,
      probabilities.map((p) => p * (1 - p)),
      2 * l2,
      downhill,
    );
    const decrement = dot(step, downhill);
    if (!(decrement > 1e-14)) break;
    const change = yield* multiply(columns, step);
    // Halve the Newton step until the objective falls (Armijo, 1e-4): far from the optimum the quadratic model overshoots.
    let share = 1;
    for (;;) {
      const tried = weights.map((w, t) => w + share * step[t]!);
      const triedLogits = logits.map((z, r) => z + share * change[r]!);
      const triedObjective = meanLogLoss(triedLogits, labels) + penalty(tried, l2);
      if (triedObjective <= objective - 1e-4 * share * decrement || share < 1e-6) {
        [weights, logits, objective] = [tried, triedLogits, triedObjective];
        break;
      }
      share /= 2;
    }
    if (share < 1e-6) break;
  }
  return weights;
}

/** Solves (X^T D X / n + l2 P) w = b, D diagonal and positive, P the identity without the intercept. */
function* conjugateGradients(
  columns: ProductColumns,
  diagonal: Float64Array,
  l2: number,
  b: Float64Array,
  tolerance = TOLERANCE,
): Steps<Float64Array> {
  const solution = new Float64Array(columns.terms);
  const residual = b.slice();
  const direction = b.slice();
  let size = dot(residual, residual);
  const enough = size * tolerance ** 2;
  for (let iteration = 0; iteration < MAX_ITERATIONS && size > enough && size > 1e-300; iteration++) {
    const image = yield* multiply(columns, direction);
    for (let r = 0; r < image.length; r++) image[r]! *= diagonal[r]! / image.length;
    const product = yield* multiplyTransposed(columns, image);
    for (let t = 1; t < product.length; t++) product[t]! += l2 * direction[t]!;
    const length = size / dot(direction, product);
    for (let t = 0; t < solution.length; t++) {
      solution[t]! += length * direction[t]!;
      residual[t]! -= length * product[t]!;
    }
    const next = dot(residual, residual);
    for (let t = 0; t < solution.length; t++) direction[t] = residual[t]! + (next / size) * direction[t]!;
    size = next;
  }
  return solution;
}

export const sigmoid = (logit: number): number => 1 / (1 + Math.exp(-logit));

/** Mean of -log p(label), in nats, from log-odds; never overflows. */
export function meanLogLoss(logits: Float64Array, labels: Float64Array): number {
  let sum = 0;
  for (let r = 0; r < logits.length; r++) {
    const margin = labels[r] === 1 ? logits[r]! : -logits[r]!;
    sum += margin > 0 ? Math.log1p(Math.exp(-margin)) : Math.log1p(Math.exp(margin)) - margin;
  }
  return sum / logits.length;
}

const penalty = (weights: Float64Array, l2: number): number => l2 * (dot(weights, weights) - weights[0]! ** 2);
