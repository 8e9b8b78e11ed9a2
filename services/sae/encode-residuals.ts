/**
 * Encodes residuals to sparse activations: streams the encoder once, block by block, for all rows together. It prevents a dense
 * [n, d_sae] matrix, which would take gigabytes for a wide SAE.
 */
import { fault } from '../../shared/errors/fault.js';
import type { FeatureBlock } from './feature-matrix.js';
import { scaleRows } from './input-scale.js';
import { multiplyRows } from './multiply-rows.js';
import { assertFeatures, type Sae } from './sae.js';
import { keepLargest, type SparseRow } from './sparse-rows.js';

/** Activations that one call may hold: 256 a row at 4096 rows, and some 8 MB on the wire. */
export const MAX_ACTIVATIONS = 1 << 20;
/** Rows a tile: with its tile of products it stays in the second-level cache. */
const TILE_ROWS = 32;
const TILE_FEATURES = 512;

export interface EncodeOptions {
  /** Only these features; empty or absent: all. */
  readonly features?: readonly number[];
  /** Called every few milliseconds; throws to stop. */
  readonly checkpoint?: () => void;
}

/** residual [n, d_in] to n sparse rows. Throws FEATURE_UNKNOWN, REQUEST_TOO_LARGE, NOT_FINITE (weights). */
export const encodeResiduals = (sae: Sae, residual: Float32Array, options: EncodeOptions = {}): SparseRow[] => {
  const wanted = [...new Set(options.features)].sort((a, b) => a - b);
  assertFeatures(sae.layer, sae.dSae, wanted);
  const { h } = scaleRows(sae.inputScale, residual, sae.dIn, sae.appliesBDec ? sae.bDec : undefined);
  // A choice among all features (TopK) needs all of them, whatever was asked for.
  const gathered = wanted.length > 0 && sae.rule.k === undefined;
  const rows = collectRows(sae, h, gathered ? gatherBlocks(sae, wanted) : sae.encoder.blocks(), options);
  if (sae.rule.k === undefined || wanted.length === 0) return rows;
  const asked = new Set(wanted);
  return rows.map((row) => filterRow(row, asked));
};

const filterRow = (row: SparseRow, asked: ReadonlySet<number>): SparseRow => {
  const kept = [...row.indices.keys()].filter((k) => asked.has(row.indices[k]!));
  return { indices: kept.map((k) => row.indices[k]!), values: kept.map((k) => row.values[k]!) };
};

/** A block whose rows belong to features that need not be neighbours. */
interface EncoderBlock extends Omit<FeatureBlock, 'start'> {
  readonly featureOf: (row: number) => number;
}

function* gatherBlocks(sae: Sae, features: readonly number[]): Generator<EncoderBlock> {
  const step = Math.max(1, Math.floor((1 << 20) / sae.dIn));
  for (let start = 0; start < features.length; start += step) {
    const part = features.slice(start, start + step);
    yield { count: part.length, values: sae.encoder.rows(part), featureOf: (row) => part[row]! };
  }
}

const collectRows = (
  sae: Sae,
  h: Float32Array,
  blocks: Iterable<FeatureBlock | EncoderBlock>,
  options: EncodeOptions,
): SparseRow[] => {
  const n = h.length / sae.dIn;
  const rows: SparseRow[] = Array.from({ length: n }, () => ({ indices: [], values: [] }));
  const floors = new Float32Array(n);
  const products = new Float64Array(TILE_ROWS * TILE_FEATURES);
  let held = 0;
  for (const block of blocks) {
    const featureOf = 'featureOf' in block ? block.featureOf : (row: number) => block.start + row;
    for (let f = 0; f < block.count; f += TILE_FEATURES) {
      const count = Math.min(TILE_FEATURES, block.count - f);
      const weights = block.values.subarray(f * sae.dIn, (f + count) * sae.dIn);
      for (let r = 0; r < n; r += TILE_ROWS) {
        options.checkpoint?.();
        const tile = Math.min(TILE_ROWS, n - r);
        multiplyRows(h.subarray(r * sae.dIn, (r + tile) * sae.dIn), tile, weights, count, sae.dIn, products);
        held += activate(sae.rule, products, {
          rows,
          floors,
          first: r,
          tile,
          count,
          featureOf: (k) => featureOf(f + k),
        });
      }
      if (sae.rule.k !== undefined) held = trim(rows, floors, sae.rule.k);
      assertHeld(held, n);
    }
  }
  return rows;
};

interface Tile {
  readonly rows: SparseRow[];
  /** Activations up to here are out: they cannot be among the k largest of their row any more. */
  readonly floors: Float32Array;
  readonly first: number;
  readonly tile: number;
  readonly count: number;
  readonly featureOf: (k: number) => number;
}

/** Appends the activations of a tile to its rows; returns how many. Formula: the head of sae.ts. */
const activate = (rule: Sae['rule'], products: Float64Array, tile: Tile): number => {
  let added = 0;
  for (let k = 0; k < tile.count; k++) {
    const feature = tile.featureOf(k);
    const gain = rule.gain === undefined ? 1 : rule.gain[feature]!;
    const bias = rule.bias[feature]!;
    const threshold = rule.threshold[feature]!;
    for (let r = 0; r < tile.tile; r++) {
      // Rounded to float32 before it is compared: the edit inside the model compares float32 as well.
      const z = Math.fround(gain * products[r * tile.count + k]! + bias);
      if (!(z > threshold) || z <= tile.floors[tile.first + r]!) continue;
      const row = tile.rows[tile.first + r]!;
      row.indices.push(feature);
      row.values.push(z);
      added++;
    }
  }
  return added;
};

const trim = (rows: SparseRow[], floors: Float32Array, k: number): number => {
  let held = 0;
  rows.forEach((row, r) => {
    const kept = keepLargest(row, k);
    rows[r] = kept;
    if (kept.values.length === k) floors[r] = Math.min(...kept.values);
    held += kept.values.length;
  });
  return held;
};

const assertHeld = (held: number, n: number): void => {
  if (held > MAX_ACTIVATIONS)
    throw fault(
      'REQUEST_TOO_LARGE',
      `${n} residuals give more than ${MAX_ACTIVATIONS} activations. Send fewer rows, or name the features that you need.`,
    );
};
