/**
 * The residual stream of a planted model: named axes, each with a job, turned by one random rotation so that nothing in the files
 * lies along a coordinate. What is left over is nuisance space, where random weights work without touching the mechanism, and a few
 * dark axes that no decoy reads or writes: noise comes from there, so that switching decoys off cannot amplify it.
 */
import type { SeededRandom } from '../../../shared/random/seeded-random.js';

/** Sparse vector in named axes: what the builder thinks in. */
export type Sparse = ReadonlyMap<number, number>;

export interface ResidualSpace {
  readonly width: number;
  /** Index of a named axis. */
  axis(name: string): number;
  /** Axes that no name claims. */
  readonly nuisance: readonly number[];
  readonly dark: readonly number[];
  /** The vector in the model's own coordinates. */
  rotate(vector: Sparse): Float64Array;
}

/** Nuisance axes at least. */
const MIN_NUISANCE = 48;
const DARK = 16;
/** Widths are a multiple of this, as real ones are. */
const STEP = 32;

export function createResidualSpace(names: readonly string[], random: SeededRandom): ResidualSpace {
  const width = Math.ceil((names.length + MIN_NUISANCE + DARK) / STEP) * STEP;
  const axes = new Map(names.map((name, i) => [name, i]));
  const basis = randomRotation(width, random);
  return {
    width,
    axis: (name) => {
      const axis = axes.get(name);
      if (axis === undefined) throw new RangeError(`no axis ${name}`);
      return axis;
    },
    nuisance: Array.from({ length: width - DARK - names.length }, (_, i) => names.length + i),
    dark: Array.from({ length: DARK }, (_, i) => width - DARK + i),
    rotate: (vector) => {
      const rotated = new Float64Array(width);
      for (const [axis, value] of vector) {
        const row = basis[axis]!;
        for (let i = 0; i < width; i++) rotated[i]! += value * row[i]!;
      }
      return rotated;
    },
  };
}

/** Orthonormal rows, by Gram-Schmidt on normal ones, each taken out twice. */
function randomRotation(width: number, random: SeededRandom): Float64Array[] {
  const rows: Float64Array[] = [];
  while (rows.length < width) {
    const row = Float64Array.from({ length: width }, random.normal);
    for (let pass = 0; pass < 2; pass++)
      for (const other of rows) {
        let dot = 0;
        for (let i = 0; i < width; i++) dot += row[i]! * other[i]!;
        for (let i = 0; i < width; i++) row[i]! -= dot * other[i]!;
      }
    const norm = Math.hypot(...row);
    rows.push(row.map((value) => value / norm));
  }
  return rows;
}

/** Sum of scaled vectors. */
export function combine(...parts: readonly (readonly [vector: Sparse, factor: number])[]): Sparse {
  const sum = new Map<number, number>();
  for (const [vector, factor] of parts)
    for (const [axis, value] of vector) sum.set(axis, (sum.get(axis) ?? 0) + factor * value);
  return sum;
}

/** A random unit vector over the axes given. */
export function randomUnit(axes: readonly number[], random: SeededRandom): Sparse {
  const values = axes.map(() => random.normal());
  const norm = Math.hypot(...values);
  return new Map(axes.map((axis, i) => [axis, values[i]! / norm]));
}
