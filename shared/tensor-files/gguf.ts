/**
 * A GGUF file as a TensorSource, with its metadata. Opening reads the header only; tensors are read by range, dequantized in
 * pieces of at most 4 MiB, so that single embedding rows are cheap and no file is ever held whole.
 */
import { BoundedFile } from './bounded-file.js';
import { ggmlDecoder, QUANTIZED_TYPES } from './ggml-dequantize.js';
import { type GgufHeader, type GgufTensor, type GgufValue, parseGgufHeader } from './gguf-header.js';
import { gatherColumns, isPlainType, READ_CHUNK_BYTES, readPlainColumns, readPlainRange } from './plain-tensor.js';
import { corruptFile, quoted, unsupportedFile } from './tensor-file-faults.js';
import {
  type ElementRange,
  type RowRange,
  resolveColumns,
  resolveRows,
  type TensorSource,
  tensorNotFound,
} from './tensor-source.js';

export class GgufFile implements TensorSource {
  private readonly header: GgufHeader;

  constructor(private readonly source: BoundedFile) {
    this.header = parseGgufHeader(source);
  }

  get path(): string {
    return this.source.path;
  }

  get version(): number {
    return this.header.version;
  }

  /** All metadata. 64-bit integers that a number cannot hold exactly are bigint. */
  get metadata(): ReadonlyMap<string, GgufValue> {
    return this.header.metadata;
  }

  /** Metadata of a fixed type; undefined where the key is absent, TENSOR_FILE_CORRUPT where it has another type. */
  text = (key: string): string | undefined => this.typed(key, 'a string', (value) => typeof value === 'string');
  number = (key: string): number | undefined => this.typed(key, 'a number', (value) => typeof value === 'number');
  flag = (key: string): boolean | undefined => this.typed(key, 'a boolean', (value) => typeof value === 'boolean');
  texts = (key: string): readonly string[] | undefined =>
    this.typed(key, 'a list of strings', (value) => isListOf<string>(value, 'string'));
  numbers = (key: string): readonly number[] | undefined =>
    this.typed(key, 'a list of numbers', (value) => isListOf<number>(value, 'number'));

  list(): readonly GgufTensor[] {
    return [...this.header.tensors.values()];
  }

  has(name: string): boolean {
    return this.header.tensors.has(name);
  }

  info(name: string): GgufTensor {
    const tensor = this.header.tensors.get(name);
    if (!tensor) throw tensorNotFound(this.path, name, this.header.tensors.keys());
    return tensor;
  }

  readFloat32(name: string, rows?: RowRange): Float32Array {
    const info = this.info(name);
    const range = resolveRows(info, rows);
    const type = info.dtype;
    if (isPlainType(type)) return readPlainRange({ source: this.source, offset: info.offset, type, info }, range);
    return this.dequantize(info, range);
  }

  readColumns(name: string, columns: readonly number[]): Float32Array {
    const info = this.info(name);
    const type = info.dtype;
    if (isPlainType(type)) return readPlainColumns({ source: this.source, offset: info.offset, type, info }, columns);
    const { rowCount, width } = resolveColumns(info, columns);
    return gatherColumns(rowCount, width, columns, (start, count) => this.readFloat32(name, { start, count }));
  }

  close(): void {
    this.source.close();
  }

  private typed<T extends GgufValue>(key: string, wanted: string, is: (value: GgufValue) => value is T): T | undefined {
    const value = this.metadata.get(key);
    if (value === undefined || is(value)) return value;
    const given = Array.isArray(value) ? 'another kind of list' : `a ${typeof value}`;
    throw corruptFile(this.path, `metadata ${quoted(key)}`, given, `it must be ${wanted}`);
  }

  private dequantize(info: GgufTensor, range: ElementRange): Float32Array {
    const { blockValues, blockBytes } = info.type;
    const decode = ggmlDecoder(info.dtype);
    if (!decode)
      throw unsupportedFile(
        this.path,
        `the type of tensor ${quoted(info.name)}`,
        info.dtype,
        `F32, F16, BF16, F64, ${QUANTIZED_TYPES.join(', ')} are. Quantize the model to one of them.`,
      );
    // Rows of matrices are whole blocks; a range of a vector may begin or end inside one.
    const firstBlock = Math.floor(range.first / blockValues);
    const endBlock = Math.ceil((range.first + range.length) / blockValues);
    const out = new Float32Array((endBlock - firstBlock) * blockValues);
    const step = Math.floor(READ_CHUNK_BYTES / blockBytes);
    const buffer = new Uint8Array(Math.min(step, endBlock - firstBlock) * blockBytes);
    for (let block = firstBlock; block < endBlock; block += step) {
      const count = Math.min(step, endBlock - block);
      const bytes = buffer.subarray(0, count * blockBytes);
      this.source.readInto(bytes, info.offset + block * blockBytes, `the data of tensor ${quoted(info.name)}`);
      decode(bytes, 0, count, out, (block - firstBlock) * blockValues);
    }
    const skip = range.first - firstBlock * blockValues;
    return out.length === range.length ? out : out.slice(skip, skip + range.length);
  }
}

const isListOf = <T extends string | number>(
  value: GgufValue,
  type: 'string' | 'number',
): value is readonly T[] & GgufValue => Array.isArray(value) && value.every((item) => typeof item === type);

/**
 * Opens a GGUF file, version 2 or 3. Faults: FILE_NOT_FOUND, TENSOR_FILE_CORRUPT, TENSOR_FILE_UNSUPPORTED (version, byte order,
 * split files, unknown types).
 */
export const openGguf = (path: string): GgufFile => {
  const source = BoundedFile.open(path);
  try {
    return new GgufFile(source);
  } catch (problem) {
    source.close();
    throw problem;
  }
};
