/** Finds the tensors of an SAE in its file and checks every shape against d_in and d_sae, transposes included. */
import { fault } from '../../../shared/errors/fault.js';
import { quoted } from '../../../shared/tensor-files/tensor-file-faults.js';
import type { TensorSource } from '../../../shared/tensor-files/tensor-source.js';
import type { MatrixPlace, VectorPlace } from '../sae-description.js';
import { MAX_D_IN, MAX_D_SAE } from './sae-folder.js';

export interface SaeShape {
  readonly dIn: number;
  readonly dSae: number;
}

/** The shape that a matrix tells, for formats whose config does not. */
export const shapeFromMatrix = (source: TensorSource, { tensor, layout }: MatrixPlace): SaeShape => {
  const { shape } = source.info(tensor);
  const [outer = 0, inner = 0] = shape;
  const [dSae, dIn] = layout === 'feature-rows' ? [outer, inner] : [inner, outer];
  if (shape.length !== 2 || dIn < 1 || dSae < 1 || dIn > MAX_D_IN || dSae > MAX_D_SAE)
    throw fault(
      'SHAPE_MISMATCH',
      `${source.path}: tensor ${quoted(tensor)} is [${shape.join(', ')}]; an SAE needs two dimensions, d_in up to ${MAX_D_IN} and d_sae up to ${MAX_D_SAE}.`,
    );
  return { dIn, dSae };
};

export const matrixAt = (
  source: TensorSource,
  tensor: string,
  layout: MatrixPlace['layout'],
  { dIn, dSae }: SaeShape,
): MatrixPlace => {
  assertShape(source, tensor, layout === 'feature-rows' ? [dSae, dIn] : [dIn, dSae]);
  return { tensor, layout };
};

export const vectorAt = (source: TensorSource, tensor: string, length: number): VectorPlace => {
  assertShape(source, tensor, [length]);
  return { tensor };
};

/** The first of these names that the file has; the first one of all if none is there, so that its absence is reported. */
export const nameOf = (source: TensorSource, names: readonly [string, ...string[]]): string =>
  names.find((name) => source.has(name)) ?? names[0];

const assertShape = (source: TensorSource, tensor: string, wanted: readonly number[]): void => {
  const { shape } = source.info(tensor);
  if (shape.length !== wanted.length || shape.some((size, axis) => size !== wanted[axis]))
    throw fault(
      'SHAPE_MISMATCH',
      `${source.path}: tensor ${quoted(tensor)} is [${shape.join(', ')}]; the config or the other tensors need [${wanted.join(', ')}].`,
    );
};
