/**
 * Large matrices as several products over ranges of their rows. onnxruntime packs or widens one constant at a time, beside the
 * constant itself: pieces bound that second copy, which for an output matrix would be gigabytes.
 */
import type { RowRange } from '../../../shared/tensor-files/tensor-source.js';
import type { OnnxGraph, Value } from './onnx-graph.js';

/** As float32: small beside any model that is mapped, and large enough that a product keeps all cores busy. */
const PIECE_BYTES = 64 << 20;

/** Ranges of rows of a matrix [out, in] that are at most PIECE_BYTES each in float32. */
export function rowPieces([out, width]: readonly number[]): RowRange[] {
  const rows = Math.max(1, Math.floor(PIECE_BYTES / (4 * width)));
  return Array.from({ length: Math.ceil(out / rows) }, (_, i) => ({
    start: i * rows,
    count: Math.min(rows, out - i * rows),
  }));
}

/** x W^T [.., out] for the pieces of W in order. */
export function piecewiseProduct(graph: OnnxGraph, x: Value, pieces: readonly Value[]): Value {
  const products = pieces.map((w) => graph.node('FusedMatMul', [x, w], { transB: 1 }, 'com.microsoft'));
  return products.length === 1 ? products[0] : graph.node('Concat', products, { axis: -1 });
}
