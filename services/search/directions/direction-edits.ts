/** Directions as edits: ablation projects one out at every layer, induction adds its mean difference at its own layer (Arditi et al. 2024, section 2.4). */
import { type Bank, createBank, EVERY_POSITION, type LayerEdits } from '../model/bank.js';
import type { Direction } from './mean-difference.js';

export interface DirectionEdits {
  readonly bank: Bank;
  /** By direction: the edits that are on for it. */
  readonly on: readonly (readonly number[])[];
}

const nameOf = ({ layer, position }: Direction): string => `direction.${layer}.${position}`;

const matrixOf = (rows: readonly Float32Array[], cols: number) => {
  const data = new Float32Array(rows.length * cols);
  for (const [i, row] of rows.entries()) data.set(row, i * cols);
  return { rows: rows.length, cols, data };
};

/** x' = x - (x r) r at the output of every block and every position. One edit a layer and direction. */
export function ablateEverywhere(directions: readonly Direction[], nLayers: number): DirectionEdits {
  const count = directions.length;
  const rows = matrixOf(
    directions.map(({ vector }) => vector),
    directions[0]?.vector.length ?? 0,
  );
  const layers = Array.from(
    { length: nLayers },
    (_, layer): LayerEdits => ({
      layer,
      names: directions.map((direction) => `${nameOf(direction)}@${layer}`),
      read: rows,
      bias: new Float32Array(count),
      threshold: new Float32Array(count).fill(Number.NEGATIVE_INFINITY),
      write: rows,
      target: new Float32Array(count),
      positions: EVERY_POSITION,
    }),
  );
  const on = directions.map((_, i) => Array.from({ length: nLayers }, (_, layer) => layer * count + i));
  return { bank: createBank(layers), on };
}

/** x' = x + |mean difference| r at the direction's own layer and every position. One edit a direction. */
export function addAtOwnLayer(directions: readonly Direction[]): DirectionEdits {
  const layers = directions.map((direction): LayerEdits => {
    const cols = direction.vector.length;
    return {
      layer: direction.layer,
      names: [`${nameOf(direction)}.add`],
      read: matrixOf([new Float32Array(cols)], cols),
      bias: Float32Array.of(0),
      threshold: Float32Array.of(Number.NEGATIVE_INFINITY),
      write: matrixOf([direction.vector], cols),
      target: Float32Array.of(direction.rawNorm),
      positions: EVERY_POSITION,
    };
  });
  return { bank: createBank(layers), on: directions.map((_, i) => [i]) };
}
