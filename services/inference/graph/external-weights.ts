/**
 * Weights that stay in their safetensors files: the graph holds offsets, onnxruntime maps the files. No tensor passes through the
 * JavaScript heap, so that a model may be far larger than it. A LoRA adapter runs as a branch of its own, since what is mapped
 * cannot be merged.
 */
import { realpathSync } from 'node:fs';
import { dirname, relative, sep } from 'node:path';
import { unsupportedFile } from '../../../shared/tensor-files/tensor-file-faults.js';
import type { TensorSource } from '../../../shared/tensor-files/tensor-source.js';
import type { LoraAdapter } from '../model/lora-adapter.js';
import type { ElementType, OnnxGraph, Value } from './onnx-graph.js';
import { piecewiseProduct, rowPieces } from './row-pieces.js';
import type { WeightSink } from './weight-sink.js';

export type ComputeType = 'float32' | 'float16' | 'bfloat16';

const STORED_TYPES: Readonly<Record<string, ElementType>> = { F32: 'float32', F16: 'float16', BF16: 'bfloat16' };

export class ExternalWeights implements WeightSink {
  /** The folder that all locations in the graphs are relative to; onnxruntime lets none of them leave it. */
  readonly folder: string;
  private readonly realPaths = new Map<string, string>();

  /** `computeType` is that of the matrix products; everything between them is float32. */
  constructor(
    private readonly source: TensorSource,
    private readonly adapter: LoraAdapter | undefined,
    private readonly computeType: ComputeType = 'float32',
  ) {
    // Real paths: caches of the Hugging Face hub are folders of links, and onnxruntime checks where a link leads.
    for (const { file } of source.list()) if (file !== undefined) this.realPaths.set(file, realpathSync(file));
    this.folder = commonFolder([...this.realPaths.values()]);
  }

  linears(graph: OnnxGraph, x: Value, names: readonly string[]): Value[] {
    return names.map((name) => this.linear(graph, x, name));
  }

  linear(graph: OnnxGraph, x: Value, name: string): Value {
    const weight = `${name}.weight`;
    const narrow = this.computeType !== 'float32';
    const input = narrow ? graph.cast(x, this.computeType) : x;
    const product = piecewiseProduct(graph, input, this.pieces(graph, weight));
    const y = narrow ? graph.cast(product, 'float32') : product;
    const bias = `${name}.bias`;
    return this.addBranch(
      graph,
      x,
      weight,
      this.source.has(bias) ? graph.node('Add', [y, this.vector(graph, bias)]) : y,
    );
  }

  vector(graph: OnnxGraph, name: string, offset = 0): Value {
    const data = this.source.readFloat32(name);
    return graph.initializer(name, 'float32', [data.length], offset === 0 ? data : data.map((value) => value + offset));
  }

  /** The matrix in the compute type, in ranges of rows. */
  private pieces(graph: OnnxGraph, name: string): Value[] {
    const { file, offset, byteLength, dtype, shape } = this.source.info(name);
    const stored = STORED_TYPES[dtype];
    if (file === undefined || offset === undefined || stored === undefined) {
      throw unsupportedFile(this.source.path, `the dtype of ${name}`, dtype, 'F32, F16 and BF16 are mapped.');
    }
    const location = relative(this.folder, this.realPaths.get(file) as string)
      .split(sep)
      .join('/');
    const rowBytes = byteLength / shape[0];
    return rowPieces(shape).map(({ start, count }) => {
      const bytes = { location, offset: offset + start * rowBytes, length: count * rowBytes };
      const piece = graph.externalInitializer(`${name}[${start}]`, stored, [count, shape[1]], bytes);
      return stored === this.computeType ? piece : graph.cast(piece, this.computeType);
    });
  }

  /** y + scale * (x A^T) B^T */
  private addBranch(graph: OnnxGraph, x: Value, name: string, y: Value): Value {
    const change = this.adapter?.find(name);
    if (this.adapter === undefined || change === undefined) return y;
    const [out, width] = this.source.info(name).shape;
    const a = graph.initializer(`${name}.lora_A`, 'float32', [change.rank, width], this.adapter.readA(name));
    const b = graph.initializer(`${name}.lora_B`, 'float32', [out, change.rank], this.adapter.readB(name));
    const inner = graph.node('FusedMatMul', [x, a], { transB: 1 }, 'com.microsoft');
    const branch = graph.node(
      'FusedMatMul',
      [inner, b],
      { transB: 1, alpha: { float: change.scale } },
      'com.microsoft',
    );
    return graph.node('Add', [y, branch]);
  }
}

/** The deepest folder that holds all of the files. */
function commonFolder(files: readonly string[]): string {
  const folders = files.map((file) => dirname(file).split(sep));
  const [first = ['']] = folders;
  let depth = first.length;
  for (const parts of folders) while (parts.slice(0, depth).join(sep) !== first.slice(0, depth).join(sep)) depth--;
  return first.slice(0, depth).join(sep) || sep;
}
