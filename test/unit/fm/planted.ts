/** Factorization machines with known interactions, and data drawn from them: the truth that the fits are tested against. */

import type { FitData } from '../../../services/fm/fit-data.js';
import { buildMaskDesign } from '../../../services/fm/mask-designs.js';
import { splitRows } from '../../../services/fm/split-rows.js';
import { createSeededRandom } from '../../../shared/random/seeded-random.js';

export interface Planted {
  readonly pairs: readonly (readonly [number, number, number])[];
  readonly score: (mask: ArrayLike<number>) => number;
}

/** `count` disjoint pairs of alternating sign and size 1..2 among K features with small main effects. */
export function plantPairs(columns: number, count: number, seed: number): Planted {
  const random = createSeededRandom(seed);
  const weights = Array.from({ length: columns }, () => 0.3 * random.normal());
  const order = random.shuffle(Array.from({ length: columns }, (_, k) => k));
  const pairs = Array.from({ length: count }, (_, p) => {
    const [first, second] = [order[2 * p]!, order[2 * p + 1]!].sort((a, b) => a - b) as [number, number];
    return [first, second, (p % 2 ? -1 : 1) * (1 + random.uniform())] as const;
  });
  const score = (mask: ArrayLike<number>) =>
    pairs.reduce((sum, [i, j, size]) => sum + size * mask[i]! * mask[j]!, 3) +
    weights.reduce((sum, w, k) => sum + w * mask[k]!, 0);
  return { pairs, score };
}

export function drawData(planted: Planted, columns: number, rows: number, seed: number, noise: number): FitData {
  const random = createSeededRandom(seed);
  const design = buildMaskDesign({ kind: 'uniform', columns, rows, seed });
  const target = Float64Array.from(
    { length: rows },
    (_, row) => planted.score(design.values.subarray(row * columns, (row + 1) * columns)) + noise * random.normal(),
  );
  return { design, target, loss: 'squared', split: splitRows(rows, { seed }) };
}

/** Share of the planted pairs among as many top pairs, with the right sign. */
export function recall(planted: Planted, top: readonly { first: number; second: number; effect: number }[]): number {
  const hits = planted.pairs.filter(([i, j, size]) =>
    top
      .slice(0, planted.pairs.length)
      .some((p) => p.first === i && p.second === j && Math.sign(p.effect) === Math.sign(size)),
  );
  return hits.length / planted.pairs.length;
}
