/**
 * Float32 weights that reach onnxruntime through a file, one graph's at a time: for weights that cannot be mapped as they are stored
 * (quantized, or merged with an adapter) and are too large for the graph itself, whose encoding ends at 2 GB. What is in the
 * JavaScript heap at any time is one piece of a matrix.
 */
import { closeSync, mkdtempSync, openSync, rmSync, unlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fault } from '../../../shared/errors/fault.js';
import type { TensorSource } from '../../../shared/tensor-files/tensor-source.js';
import type { OnnxGraph, Value } from './onnx-graph.js';
import { piecewiseProduct, rowPieces } from './row-pieces.js';
import type { WeightSink } from './weight-sink.js';

interface Spool {
  readonly graph: OnnxGraph;
  readonly name: string;
  bytes: number;
}

export class SpooledWeights implements WeightSink {
  /** The folder that the locations in the graphs are relative to. */
  readonly folder = mkdtempSync(join(tmpdir(), 'refusalscope-weights-'));
  private spool: Spool | undefined;
  private count = 0;

  constructor(private readonly source: TensorSource) {}

  linears(graph: OnnxGraph, x: Value, names: readonly string[]): Value[] {
    return names.map((name) => this.linear(graph, x, name));
  }

  linear(graph: OnnxGraph, x: Value, name: string): Value {
    const product = piecewiseProduct(graph, x, this.pieces(graph, `${name}.weight`));
    const bias = `${name}.bias`;
    return this.source.has(bias) ? graph.node('Add', [product, this.vector(graph, bias)]) : product;
  }

  vector(graph: OnnxGraph, name: string, offset = 0): Value {
    const data = this.source.readFloat32(name);
    return graph.initializer(name, 'float32', [data.length], offset === 0 ? data : data.map((value) => value + offset));
  }

  /** Removes the files. Sessions keep what they mapped. */
  close(): void {
    this.spool = undefined;
    rmSync(this.folder, { recursive: true, force: true });
  }

  private pieces(graph: OnnxGraph, name: string): Value[] {
    const spool = this.spoolOf(graph);
    const { shape } = this.source.info(name);
    const descriptor = openSync(join(this.folder, spool.name), 'a');
    try {
      return rowPieces(shape).map((rows) => {
        const data = this.source.readFloat32(name, rows);
        const bytes = { location: spool.name, offset: spool.bytes, length: data.byteLength };
        writeWhole(descriptor, data);
        spool.bytes += data.byteLength;
        return graph.externalInitializer(`${name}[${rows.start}]`, 'float32', [rows.count, shape[1]], bytes);
      });
    } finally {
      closeSync(descriptor);
    }
  }

  /** A new graph means that the session of the one before is created: its file has done its work. */
  private spoolOf(graph: OnnxGraph): Spool {
    if (this.spool?.graph === graph) return this.spool;
    if (this.spool !== undefined) unlinkSync(join(this.folder, this.spool.name));
    this.spool = { graph, name: `${this.count++}.bin`, bytes: 0 };
    return this.spool;
  }
}

function writeWhole(descriptor: number, data: Float32Array): void {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  try {
    for (let done = 0; done < bytes.length; ) done += writeSync(descriptor, bytes, done);
  } catch (cause) {
    throw fault(
      'MODEL_UNAVAILABLE',
      `The model's weights are passed on through ${tmpdir()}, which could not take them. Free space there, or set TMPDIR.`,
      { cause },
    );
  }
}
