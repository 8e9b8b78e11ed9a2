/** Random edits of the same size as a set's own: the control that asks whether the direction of an edit matters, or only its norm. */

import type { SeededRandom } from '../../../shared/random/seeded-random.js';
import type { Matrix } from '../../../shared/tensors/matrix.js';
import { type Bank, createBank, type LayerEdits } from '../model/bank.js';

type Row = Float64Array;

const dot = (a: Row, b: Row): number => {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
};

/** Takes the part along each basis vector out of `row`, in place; gives the coefficients. */
function takeOut(row: Row, basis: readonly Row[]): number[] {
  return basis.map((vector) => {
    const coefficient = dot(row, vector);
    for (let i = 0; i < row.length; i++) row[i]! -= coefficient * vector[i]!;
    return coefficient;
  });
}

const scale = (row: Row, factor: number): Row => row.map((value) => value * factor);

/** A random unit vector orthogonal to `basis`. */
function randomUnit(length: number, basis: readonly Row[], random: SeededRandom): Row {
  const row = Float64Array.from({ length }, random.normal);
  takeOut(row, basis);
  takeOut(row, basis);
  return scale(row, 1 / Math.sqrt(dot(row, row)));
}

/**
 * The rows turned by one random rotation: every length and every angle between them stays, so that any combination of them has the
 * norm it had. By Gram-Schmidt: row = sum c_i b_i in an orthonormal basis b becomes sum c_i q_i in a random orthonormal basis q.
 */
export function rotateRows({ rows, cols, data }: Matrix, random: SeededRandom): Matrix {
  const basis: Row[] = [];
  const turned: Row[] = [];
  const out = new Float32Array(rows * cols);
  for (let r = 0; r < rows; r++) {
    const rest = Float64Array.from(data.subarray(r * cols, (r + 1) * cols));
    const norm = Math.sqrt(dot(rest, rest));
    const coefficients = takeOut(rest, basis);
    const left = Math.sqrt(dot(rest, rest));
    // A row inside the span of the earlier ones (to float32 precision) adds no basis vector.
    if (left > 1e-6 * norm && basis.length < cols) {
      basis.push(scale(rest, 1 / left));
      turned.push(randomUnit(cols, turned, random));
      coefficients.push(left);
    }
    for (const [i, coefficient] of coefficients.entries())
      for (let j = 0; j < cols; j++) out[r * cols + j]! += coefficient * turned[i]![j]!;
  }
  return { rows, cols, data: out };
}

/** The bank's edits, each layer's turned by `draws` random rotations of their own: what is read stays, where it is written turns. */
export function rotateBank(bank: Bank, draws: number, random: SeededRandom): { bank: Bank; on: readonly number[][] } {
  const layers: LayerEdits[] = [];
  for (const edits of bank.layers)
    for (let draw = 0; draw < draws; draw++) {
      const write = rotateRows(edits.write, random.fork(`${edits.layer} ${draw}`));
      layers.push({ ...edits, write, names: edits.names.map((name) => `random.${draw}.${name}`) });
    }
  const rotated = createBank(layers);
  const on = Array.from({ length: draws }, (_, draw) =>
    rotated.names.flatMap((name, edit) => (name.startsWith(`random.${draw}.`) ? [edit] : [])),
  );
  return { bank: rotated, on };
}
