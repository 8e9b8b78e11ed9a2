/**
 * Which masks to evaluate. All masks are equally dear, so the design decides what can be learned: uniform halves tell pairs
 * apart best, masks of every size show redundancy (where the refusal only breaks once nearly all of a group is off), and masks
 * near the flip boundary show what decides it. Every design is seeded and avoids repeats while there are masks left.
 */
import { fault } from '../../shared/errors/fault.js';
import { createSeededRandom, type SeededRandom } from '../../shared/random/seeded-random.js';
import type { DesignMatrix } from './design-matrix.js';

/**
 * uniform: each feature off with probability 1/2.
 * leverage: all sizes 0..K equally often, the leverage scores of Shapley regression (Musco and Witter, ICLR 2025).
 * kernel-shap: size s as often as its total kernel weight says, (K-1) / (s (K-s)) (Lundberg and Lee, NIPS 2017): the small and
 * the large ones.
 */
export type DesignKind = 'uniform' | 'leverage' | 'kernel-shap';

export interface DesignOptions {
  readonly kind: DesignKind;
  /** K, the number of features: 1..65536. */
  readonly columns: number;
  /** Masks wanted. */
  readonly rows: number;
  readonly seed: number;
  /** Begin with the mask of nothing and the mask of everything; default true. */
  readonly withEnds?: boolean;
}

/** [rows, K] of 0 and 1. Throws REQUEST_INVALID for sizes out of range. `checkpoint` is called for each mask and throws to stop. */
export function buildMaskDesign(options: DesignOptions, checkpoint: () => void = () => {}): DesignMatrix {
  const { kind, columns, rows, seed, withEnds = true } = options;
  assertSizes(columns, rows);
  const random = createSeededRandom(seed);
  const collector = createCollector(columns, rows);
  if (withEnds) {
    collector.offer(new Uint8Array(columns));
    collector.offer(new Uint8Array(columns).fill(1));
  }
  while (!collector.full()) {
    checkpoint();
    collector.offer(drawMask(kind, columns, random));
  }
  return collector.design();
}

function drawMask(kind: DesignKind, columns: number, random: SeededRandom): Uint8Array {
  if (kind === 'uniform') return Uint8Array.from({ length: columns }, () => (random.uniform() < 0.5 ? 1 : 0));
  const size = kind === 'leverage' ? random.below(columns + 1) : drawKernelSize(columns, random);
  return drawOfSize(columns, size, random);
}

/** A size from 1..K-1 with probability proportional to 1 / (s (K - s)); K itself when K is 1. */
function drawKernelSize(columns: number, random: SeededRandom): number {
  if (columns === 1) return 1;
  const weights = Array.from({ length: columns - 1 }, (_, s) => 1 / ((s + 1) * (columns - s - 1)));
  let left = random.uniform() * weights.reduce((sum, w) => sum + w, 0);
  const size = weights.findIndex((weight) => {
    left -= weight;
    return left < 0;
  });
  return size < 0 ? columns - 1 : size + 1;
}

function drawOfSize(columns: number, size: number, random: SeededRandom): Uint8Array {
  const mask = new Uint8Array(columns);
  for (const k of random.pick([...mask.keys()], size)) mask[k] = 1;
  return mask;
}

export interface BoundaryOptions {
  readonly columns: number;
  readonly rows: number;
  readonly seed: number;
  /** Predicted refusal scores of masks, by a model fitted to an earlier design. */
  readonly predict: (masks: DesignMatrix) => ArrayLike<number>;
  /** The score at which refusal flips; default 0. */
  readonly boundary?: number;
  /** Share of the masks drawn by `leverage` wherever they fall: the model may be wrong about where the boundary is. Default 0.25. */
  readonly exploration?: number;
}

/** Masks drawn for each one that is kept: the nearest 1 in 16 to the boundary. */
const POOL_FACTOR = 16;

/** Masks that a first model places nearest the flip boundary, plus a share drawn without it. */
export function buildBoundaryDesign(options: BoundaryOptions): DesignMatrix {
  const { columns, rows, seed, predict, boundary = 0, exploration = 0.25 } = options;
  assertSizes(columns, rows);
  if (!(exploration >= 0 && exploration <= 1))
    throw fault('REQUEST_INVALID', `exploration is ${exploration}; it must be from 0 to 1`);
  const random = createSeededRandom(seed);
  const poolSeed = random.below(0xffffffff);
  const pool = buildMaskDesign({
    kind: 'leverage',
    columns,
    rows: rows * POOL_FACTOR,
    seed: poolSeed,
    withEnds: false,
  });
  const scores = Float64Array.from(predict(pool), (score) => Math.abs(score - boundary));
  const bad = scores.findIndex((score) => !Number.isFinite(score));
  if (bad >= 0 || scores.length !== pool.rows)
    throw fault(
      'NOT_FINITE',
      `the model gave no finite score for mask ${bad < 0 ? scores.length : bad} of the pool; fit it again`,
    );
  const byDistance = Int32Array.from({ length: pool.rows }, (_, row) => row).sort(
    (a, b) => scores[a]! - scores[b]! || a - b,
  );
  const collector = createCollector(columns, rows);
  for (const row of byDistance.subarray(0, rows - Math.round(rows * exploration)))
    collector.offer(Uint8Array.from(pool.values.subarray(row * columns, (row + 1) * columns)));
  while (!collector.full()) collector.offer(drawMask('leverage', columns, random));
  return collector.design();
}

/** Repeats in a row after which masks count as used up, and the K up to which all 2^K can be listed. */
const MAX_REPEATS = 100;
const MAX_LISTED_COLUMNS = 20;

/** Keeps masks that are new. Once draws only repeat, what is left is taken in order; repeats only when all 2^K masks are in. */
function createCollector(columns: number, rows: number) {
  const values = new Float32Array(rows * columns);
  const seen = new Set<string>();
  let count = 0;
  let refused = 0;
  /** Once all 2^K masks are in, listing them again for each further row would take hours. */
  let listed = false;
  const add = (mask: Uint8Array): boolean => {
    const key = Buffer.from(mask).toString('latin1');
    if (seen.has(key)) return false;
    seen.add(key);
    values.set(mask, count++ * columns);
    return true;
  };
  const addUnseen = () => {
    listed = true;
    for (let bits = 0; bits < 2 ** columns && count < rows; bits++)
      add(Uint8Array.from({ length: columns }, (_, k) => (bits >> k) & 1));
  };
  return {
    full: () => count === rows,
    offer: (mask: Uint8Array) => {
      if (count === rows) return;
      if (add(mask)) refused = 0;
      else if (++refused > MAX_REPEATS) {
        if (columns <= MAX_LISTED_COLUMNS && !listed) addUnseen();
        if (count < rows) values.set(mask, count++ * columns);
      }
    },
    design: (): DesignMatrix => ({ rows: count, columns, values: values.slice(0, count * columns) }),
  };
}

function assertSizes(columns: number, rows: number): void {
  if (!(Number.isInteger(columns) && columns >= 1 && columns <= 65536))
    throw fault('REQUEST_INVALID', `the design is over ${columns} features; it must be 1 to 65536`);
  if (!(Number.isInteger(rows) && rows >= 1 && rows * columns <= 1 << 26))
    throw fault(
      'REQUEST_INVALID',
      `${rows} masks of ${columns} features were asked for; give at least 1 and at most 67108864 values in all`,
    );
}
