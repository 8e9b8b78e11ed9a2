/**
 * Difference-of-means directions, mean(harmful) - mean(harmless) at every layer and position (Arditi et al. 2024, section 2.3), summed
 * in float64: single precision loses the small differences that late layers hide in large residuals.
 */
import { fault } from '../../../shared/errors/fault.js';
import type { Matrix } from '../../../shared/tensors/matrix.js';
import type { LabelledPrompt } from '../model/prompt-set.js';

export interface Direction {
  readonly layer: number;
  /** Counted from the end of the prompt: -1 is the last token. */
  readonly position: number;
  /** Unit vector [d_model]; all NaN if the means do not differ or are not finite. */
  readonly vector: Float32Array;
  /** Length of the mean difference, residual units. */
  readonly rawNorm: number;
}

type Label = LabelledPrompt['label'];

export interface MeanDifference {
  /** @param residuals by layer, [positions, d_model], rows in the order of `positions` that the accumulator was made for. */
  add(label: Label, residuals: ReadonlyMap<number, Matrix>): void;
  /** By layer, then position, both in the order given at the start. */
  directions(): Direction[];
}

export function createMeanDifference(
  layers: readonly number[],
  positions: readonly number[],
  dModel: number,
): MeanDifference {
  const create = () => ({ count: 0, sums: new Float64Array(layers.length * positions.length * dModel) });
  const sides = { harmful: create(), harmless: create() };
  const stride = positions.length * dModel;
  return {
    add: (label, residuals) => {
      const side = sides[label];
      for (const [i, layer] of layers.entries()) {
        const residual = residuals.get(layer);
        if (residual === undefined || residual.rows !== positions.length || residual.cols !== dModel)
          throw fault('SHAPE_MISMATCH', `Layer ${layer} gave no [${positions.length}, ${dModel}] residual.`);
        for (let j = 0; j < stride; j++) side.sums[i * stride + j]! += residual.data[j]!;
      }
      side.count++;
    },
    directions: () => {
      if (sides.harmful.count === 0 || sides.harmless.count === 0)
        throw fault('AUDIT_IMPOSSIBLE', 'A direction needs at least one prompt of each label that keeps its label.');
      return layers.flatMap((layer, i) =>
        positions.map((position, j) => {
          const start = i * stride + j * dModel;
          const difference = differenceOf(sides.harmful, sides.harmless, start, dModel);
          return { layer, position, ...unitOf(difference) };
        }),
      );
    },
  };
}

interface Side {
  readonly count: number;
  readonly sums: Float64Array;
}

const differenceOf = (harmful: Side, harmless: Side, start: number, length: number): Float64Array =>
  Float64Array.from(
    { length },
    (_, i) => harmful.sums[start + i]! / harmful.count - harmless.sums[start + i]! / harmless.count,
  );

function unitOf(difference: Float64Array): { vector: Float32Array; rawNorm: number } {
  let square = 0;
  for (const value of difference) square += value * value;
  const rawNorm = Math.sqrt(square);
  return { vector: Float32Array.from(difference, (value) => value / rawNorm), rawNorm };
}
