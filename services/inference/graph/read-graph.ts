/**
 * The read half of the edit primitive, z = x R + b, for any number of rows and edits (design.md, "One edit primitive").
 *
 *   rows [N, d], read [K, d] (R transposed), bias [K] -> z [N, K]
 */
import { OnnxGraph } from './onnx-graph.js';

export const READ = { rows: 'rows', read: 'read', bias: 'bias', z: 'z' } as const;

export function buildRead(dModel: number): Uint8Array {
  const graph = new OnnxGraph('read');
  const rows = graph.input(READ.rows, 'float32', ['N', dModel]);
  const read = graph.input(READ.read, 'float32', ['K', dModel]);
  const bias = graph.input(READ.bias, 'float32', ['K']);
  const product = graph.node('FusedMatMul', [rows, read], { transB: 1 }, 'com.microsoft');
  graph.output(graph.node('Add', [product, bias]), READ.z, 'float32', ['N', 'K']);
  return graph.encode();
}
