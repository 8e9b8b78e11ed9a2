/** The data that benches of the FM service run on: masks over planted interactions of several kinds, with noise. */

import type { DesignMatrix } from '../../services/fm/design-matrix.js';
import { buildMaskDesign, type DesignKind } from '../../services/fm/mask-designs.js';
import { createSeededRandom } from '../../shared/random/seeded-random.js';

/**
 * pairs: 8 disjoint pairs. hub: one feature that interacts with 8. groups: three groups of three that act only when all of a group are
 * off (redundancy; the pairs inside a group count as true). low-rank: every pair interacts, by a machine of rank 3.
 */
export const PLANTED_KINDS = ['pairs', 'hub', 'groups', 'low-rank'] as const;
export type PlantedKind = (typeof PLANTED_KINDS)[number];

export interface PlantedData {
  readonly design: DesignMatrix;
  readonly target: Float64Array;
}

export interface PlantedCase {
  /** "i,j" of the true pairs, i < j; empty for low-rank. */
  readonly pairs: ReadonlySet<string>;
  /** The function itself, for a program in another language; without noise: `base` + weights + terms of a low rank, if any. */
  readonly base: number;
  readonly weights: readonly number[];
  readonly terms: readonly { readonly features: readonly number[]; readonly size: number }[];
  /** Draws masks, uniformly unless told otherwise, and scores them. */
  draw(rows: number, seed: number, kind?: DesignKind): PlantedData;
  /** Scores masks with noise. */
  measure(design: DesignMatrix, seed: number): Float64Array;
}

/** Standard deviation of the noise on each score. */
export const NOISE = 0.2;
const BASE = 4;

export function plantCase(kind: PlantedKind, columns: number, seed: number): PlantedCase {
  const random = createSeededRandom(seed);
  const weights = Float64Array.from({ length: columns }, () => 0.3 * random.normal());
  const order = random.shuffle(Array.from({ length: columns }, (_, k) => k));
  const size = (p: number) => (p % 2 ? -1 : 1) * (1 + random.uniform());
  const terms: { readonly features: readonly number[]; readonly size: number }[] = [];
  for (let p = 0; p < 8 && kind !== 'groups' && kind !== 'low-rank'; p++)
    terms.push({
      features: kind === 'pairs' ? [order[2 * p]!, order[2 * p + 1]!] : [order[0]!, order[p + 1]!],
      size: size(p),
    });
  for (let g = 0; g < 3 && kind === 'groups'; g++) terms.push({ features: order.slice(3 * g, 3 * g + 3), size: -3 });
  const factors =
    kind === 'low-rank'
      ? Float64Array.from({ length: columns * 3 }, () => random.normal() / Math.sqrt(columns))
      : undefined;
  const score = (mask: ArrayLike<number>): number => {
    let sum = BASE;
    for (let k = 0; k < columns; k++) sum += weights[k]! * mask[k]!;
    for (const term of terms) if (term.features.every((k) => mask[k] === 1)) sum += term.size;
    return factors ? sum + lowRank(factors, mask) : sum;
  };
  const measure = ({ rows, values }: DesignMatrix, drawSeed: number): Float64Array => {
    const noise = createSeededRandom(drawSeed).fork('noise');
    return Float64Array.from(
      { length: rows },
      (_, r) => score(values.subarray(r * columns, (r + 1) * columns)) + NOISE * noise.normal(),
    );
  };
  return {
    pairs: new Set(
      terms.flatMap(({ features }) => features.flatMap((i) => features.filter((j) => j > i).map((j) => `${i},${j}`))),
    ),
    base: BASE,
    weights: [...weights],
    terms,
    measure,
    draw: (rows, drawSeed, kind = 'uniform') => {
      const design = buildMaskDesign({ kind, columns, rows, seed: drawSeed });
      return { design, target: measure(design, drawSeed) };
    },
  };
}

function lowRank(factors: Float64Array, mask: ArrayLike<number>): number {
  let sum = 0;
  for (let f = 0; f < 3; f++) {
    let linear = 0;
    let squares = 0;
    for (let k = 0; k < mask.length; k++) {
      const term = factors[3 * k + f]! * mask[k]!;
      linear += term;
      squares += term * term;
    }
    sum += (linear * linear - squares) / 2;
  }
  return sum;
}
