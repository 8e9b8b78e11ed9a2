/**
 * What a fitted model says about features: main effects, and pairs by the size of their interaction, both in the unit of the
 * target (refusal score, or log-odds), so that they can stand beside a measured 2x2.
 */
import { fault } from '../../shared/errors/fault.js';
import type { Surrogate } from './factorization-machine.js';
import { OPERATIONS_PER_STEP, type Steps } from './steps.js';

export interface RankedPair {
  /** Feature numbers, first < second. */
  readonly first: number;
  readonly second: number;
  /** Coefficient of x_i x_j. */
  readonly weight: number;
  /** weight * unit_i * unit_j: the change of the score beyond the sum of both single effects. */
  readonly effect: number;
}

export interface MainEffect {
  readonly feature: number;
  /** Change of the score when this one feature moves by its unit from an all-zero row. */
  readonly alone: number;
  /** The same with all others at `at`: what counts for redundant features, which do nothing alone. */
  readonly amongOthers: number;
}

export interface RankOptions {
  /** How many to return. */
  readonly limit: number;
  /** [K] the step of each feature that an effect is stated for: 1 for masks (default), a typical activation for SAE features. */
  readonly units?: ArrayLike<number>;
}

/** Pairs by descending |effect|, ties by feature number. Pairs of effect 0 are left out. */
export function* rankInteractions(model: Surrogate, options: RankOptions): Steps<RankedPair[]> {
  const { limit } = options;
  if (!Number.isInteger(limit) || limit < 1)
    throw fault('REQUEST_INVALID', `limit is ${limit}; it must be a whole number of at least 1`);
  const units = resolveUnits(model.columns, options.units);
  let kept: RankedPair[] = [];
  let least = 0;
  let operations = 0;
  for (let first = 0; first < model.columns; first++) {
    for (let second = first + 1; second < model.columns; second++) {
      const weight = model.pairWeight(first, second);
      const effect = weight * units[first]! * units[second]!;
      if (effect === 0 || Math.abs(effect) < least) continue;
      kept.push({ first, second, weight, effect });
      if (kept.length < 4 * limit + 1024) continue;
      kept = kept.sort(compareEffects).slice(0, limit);
      least = Math.abs(kept.at(-1)!.effect);
    }
    // About 30 operations a pair at the usual ranks.
    operations += 30 * (model.columns - first);
    if (operations < OPERATIONS_PER_STEP) continue;
    operations = 0;
    yield;
  }
  return kept.sort(compareEffects).slice(0, limit);
}

const compareEffects = (a: RankedPair, b: RankedPair): number =>
  Math.abs(b.effect) - Math.abs(a.effect) || a.first - b.first || a.second - b.second;

/**
 * Main effects by descending |amongOthers|.
 * @param at [K] values of the others: the column means of the design, say.
 */
export function* rankMainEffects(model: Surrogate, at: ArrayLike<number>, options: RankOptions): Steps<MainEffect[]> {
  if (at.length !== model.columns)
    throw fault(
      'SHAPE_MISMATCH',
      `there are ${at.length} column values for ${model.columns} features; each feature needs one`,
    );
  const units = resolveUnits(model.columns, options.units);
  const effects: MainEffect[] = [];
  for (let feature = 0; feature < model.columns; feature++) {
    let slope = model.weights[feature]!;
    const alone = slope * units[feature]!;
    for (let other = 0; other < model.columns; other++)
      if (other !== feature) slope += model.pairWeight(feature, other) * at[other]!;
    effects.push({ feature, alone, amongOthers: slope * units[feature]! });
    if (feature % Math.ceil(OPERATIONS_PER_STEP / (30 * model.columns)) === 0) yield;
  }
  return effects
    .sort((a, b) => Math.abs(b.amongOthers) - Math.abs(a.amongOthers) || a.feature - b.feature)
    .slice(0, options.limit);
}

function resolveUnits(columns: number, units?: ArrayLike<number>): Float64Array {
  if (!units) return new Float64Array(columns).fill(1);
  if (units.length !== columns)
    throw fault('SHAPE_MISMATCH', `there are ${units.length} units for ${columns} features; each feature needs one`);
  const resolved = Float64Array.from(units);
  const bad = resolved.findIndex((unit) => !Number.isFinite(unit));
  if (bad >= 0) throw fault('NOT_FINITE', `the unit of feature ${bad} is ${resolved[bad]}; it must be finite`);
  return resolved;
}
