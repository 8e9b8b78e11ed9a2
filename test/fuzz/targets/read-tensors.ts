/** Reads all of an open tensor file: each tensor whole, a row and a column of it. Each may be refused by itself. */
import type { TensorSource } from '../../../shared/tensor-files/tensor-source.js';
import { isRead } from '../harness/try-case.js';

/** True if nothing was refused. */
export const readTensors = (source: TensorSource): boolean => {
  let whole = true;
  for (const { name, shape } of source.list()) {
    whole = isRead(() => source.readFloat32(name)) && whole;
    if (shape[0]! > 0) whole = isRead(() => source.readFloat32(name, { start: shape[0]! - 1, count: 1 })) && whole;
    if (shape.length === 2 && shape[1]! > 0) whole = isRead(() => source.readColumns(name, [shape[1]! - 1])) && whole;
  }
  return whole;
};
