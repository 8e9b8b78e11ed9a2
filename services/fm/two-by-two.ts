/**
 * The check of every interaction that is reported: f(ij) - f(i) - f(j) + f(none), measured by ablation, beside what the model
 * predicts. A fitted interaction that was never measured is a guess.
 *
 * Around a context (other features that are off) the same four masks are taken with those off as well: backups interact only
 * once their primary is gone.
 */
import { fault } from '../../shared/errors/fault.js';
import { buildDesign, type DesignMatrix } from './design-matrix.js';

export interface PairToConfirm {
  readonly first: number;
  readonly second: number;
  /** The model's interaction, in the unit of the score. */
  readonly predicted: number;
}

/** The masks to evaluate, each once, and for each pair and context the rows of its four masks. */
export interface TwoByTwoPlan {
  readonly pairs: readonly PairToConfirm[];
  readonly masks: DesignMatrix;
  /** [pair][context] rows of: neither, first, second, both. */
  readonly rows: readonly (readonly (readonly [number, number, number, number])[])[];
}

export interface ConfirmedPair extends PairToConfirm {
  /** Exact interaction, mean over the contexts. */
  readonly measured: number;
  /** The four scores of the first context. */
  readonly scores: { readonly neither: number; readonly first: number; readonly second: number; readonly both: number };
}

/** How well predicted and measured interactions agree. Undefined: fewer than 2 pairs, or one side does not vary. */
export interface Agreement {
  readonly pairs: number;
  /** Pearson's r. */
  readonly correlation?: number;
  /** Pearson's r of the ranks (ties share their mean rank). */
  readonly rankCorrelation?: number;
  /** Share of pairs of equal sign, among those where neither is 0; undefined when there is none. */
  readonly signAgreement?: number;
  readonly signPairs: number;
  /** Least-squares slope through the origin, measured on predicted: 1 is right, above 1 the model shrank the effect. */
  readonly slope?: number;
  /** Root of the mean squared difference, in the unit of the score. */
  readonly rootMeanSquare?: number;
}

export interface TwoByTwo {
  readonly pairs: readonly ConfirmedPair[];
  readonly agreement: Agreement;
}

/** f(ij) - f(i) - f(j) + f(none) */
export const exactInteraction = (neither: number, first: number, second: number, both: number): number =>
  both - first - second + neither;

/**
 * @param contexts masks [K] of what else is off; the pair's own two features are set by the plan. Default: nothing else.
 * Throws REQUEST_INVALID for a pair outside 0..K-1 or of a feature with itself, MASK_WRONG_LENGTH for a context of another length.
 */
export function planTwoByTwo(
  pairs: readonly PairToConfirm[],
  columns: number,
  contexts: readonly ArrayLike<number>[] = [new Uint8Array(columns)],
): TwoByTwoPlan {
  if (pairs.length === 0 || contexts.length === 0)
    throw fault(
      'REQUEST_INVALID',
      `${pairs.length} pairs in ${contexts.length} contexts were given; give at least one of each`,
    );
  const rowOf = new Map<string, number>();
  const masks: Uint8Array[] = [];
  const rowFor = (context: ArrayLike<number>, first: number, second: number, on: readonly [number, number]): number => {
    const mask = Uint8Array.from(context);
    [mask[first], mask[second]] = on;
    const key = Buffer.from(mask).toString('latin1');
    const known = rowOf.get(key);
    if (known !== undefined) return known;
    rowOf.set(key, masks.length);
    return masks.push(mask) - 1;
  };
  for (const context of contexts)
    if (context.length !== columns)
      throw fault(
        'MASK_WRONG_LENGTH',
        `a context has ${context.length} values and there are ${columns} features; give one for each`,
      );
  const rows = pairs.map(({ first, second }) => {
    const inside = (feature: number) => Number.isInteger(feature) && feature >= 0 && feature < columns;
    if (!inside(first) || !inside(second) || first === second)
      throw fault('REQUEST_INVALID', `pair (${first}, ${second}) is not two different features of 0 to ${columns - 1}`);
    return contexts.map((context) => {
      const row = (a: number, b: number) => rowFor(context, first, second, [a, b]);
      return [row(0, 0), row(1, 0), row(0, 1), row(1, 1)] as const;
    });
  });
  return { pairs, masks: buildDesign(masks), rows };
}

/** @param scores one measured score for each mask of the plan. Throws SHAPE_MISMATCH or NOT_FINITE. */
export function compareTwoByTwo(plan: TwoByTwoPlan, scores: ArrayLike<number>): TwoByTwo {
  if (scores.length !== plan.masks.rows)
    throw fault(
      'SHAPE_MISMATCH',
      `there are ${scores.length} scores for ${plan.masks.rows} masks; each mask needs one`,
    );
  for (let row = 0; row < scores.length; row++)
    if (!Number.isFinite(scores[row]))
      throw fault('NOT_FINITE', `the score of mask ${row} is ${scores[row]}; evaluate it again`);
  const pairs = plan.pairs.map((pair, p) => {
    const four = plan.rows[p]!.map((rows) => rows.map((row) => scores[row]!) as [number, number, number, number]);
    const measured = four.reduce((sum, quad) => sum + exactInteraction(...quad), 0) / four.length;
    const [neither, first, second, both] = four[0]!;
    return { ...pair, measured, scores: { neither, first, second, both } };
  });
  return {
    pairs,
    agreement: measureAgreement(
      pairs.map((p) => p.predicted),
      pairs.map((p) => p.measured),
    ),
  };
}

export function measureAgreement(predicted: readonly number[], measured: readonly number[]): Agreement {
  const signed = predicted.map((p, i) => p * measured[i]!).filter((product) => product !== 0);
  const squares = predicted.reduce((sum, p) => sum + p * p, 0);
  const products = predicted.reduce((sum, p, i) => sum + p * measured[i]!, 0);
  const differences = predicted.reduce((sum, p, i) => sum + (p - measured[i]!) ** 2, 0);
  return {
    pairs: predicted.length,
    ...optional('correlation', correlate(predicted, measured)),
    ...optional('rankCorrelation', correlate(rank(predicted), rank(measured))),
    ...optional(
      'signAgreement',
      signed.length > 0 ? signed.filter((product) => product > 0).length / signed.length : undefined,
    ),
    signPairs: signed.length,
    ...optional('slope', squares > 0 ? products / squares : undefined),
    ...optional('rootMeanSquare', predicted.length > 0 ? Math.sqrt(differences / predicted.length) : undefined),
  };
}

const optional = <K extends string>(key: K, value: number | undefined): { [P in K]?: number } =>
  (value === undefined ? {} : { [key]: value }) as { [P in K]?: number };

function correlate(a: readonly number[], b: readonly number[]): number | undefined {
  const mean = (values: readonly number[]) => values.reduce((sum, v) => sum + v, 0) / values.length;
  const [meanA, meanB] = [mean(a), mean(b)];
  const sum = (pick: (i: number) => number) => a.reduce((total, _, i) => total + pick(i), 0);
  const sizeA = sum((i) => (a[i]! - meanA) ** 2);
  const sizeB = sum((i) => (b[i]! - meanB) ** 2);
  if (a.length < 2 || sizeA === 0 || sizeB === 0) return undefined;
  return sum((i) => (a[i]! - meanA) * (b[i]! - meanB)) / Math.sqrt(sizeA * sizeB);
}

function rank(values: readonly number[]): number[] {
  return values.map((value) => {
    const below = values.filter((other) => other < value).length;
    const equal = values.filter((other) => other === value).length;
    return below + (equal - 1) / 2;
  });
}
