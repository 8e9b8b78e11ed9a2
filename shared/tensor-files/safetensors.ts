/**
 * Safetensors as a TensorSource: one file, or a folder of shards with an index. Opening reads the headers only. F32, F16, BF16 and
 * F64 are read; every other dtype is listed with its place in the file, for callers that read raw bytes.
 */
import { BoundedFile } from './bounded-file.js';
import { isPlainType, type PlainTensor, readPlainColumns, readPlainRange } from './plain-tensor.js';
import { parseSafetensorsHeader } from './safetensors-header.js';
import { planShards, type ShardPlan } from './safetensors-index.js';
import { corruptFile, quoted, unsupportedFile } from './tensor-file-faults.js';
import {
  type RowRange,
  resolveRows,
  type StoredTensorInfo,
  type TensorSource,
  tensorNotFound,
} from './tensor-source.js';

interface Held {
  readonly source: BoundedFile;
  readonly info: StoredTensorInfo;
}

export class Safetensors implements TensorSource {
  private readonly tensors = new Map<string, Held>();
  /** `__metadata__` of the file; of shards, the first file that has a key wins. */
  readonly metadata: ReadonlyMap<string, string>;

  constructor(
    readonly path: string,
    private readonly sources: readonly BoundedFile[],
    plan: ShardPlan,
  ) {
    const metadata = new Map<string, string>();
    for (const source of sources) {
      const header = parseSafetensorsHeader(source);
      for (const [key, value] of header.metadata) if (!metadata.has(key)) metadata.set(key, value);
      for (const [name, info] of header.tensors)
        if (!plan.fileOf || plan.fileOf.get(name) === source.path) this.tensors.set(name, { source, info });
    }
    for (const [name, file] of plan.fileOf ?? [])
      if (!this.tensors.has(name))
        throw corruptFile(path, `the file of tensor ${quoted(name)}`, file, 'that file does not have it');
    this.metadata = metadata;
  }

  list(): readonly StoredTensorInfo[] {
    return [...this.tensors.values()].map(({ info }) => info);
  }

  has(name: string): boolean {
    return this.tensors.has(name);
  }

  info(name: string): StoredTensorInfo {
    return this.held(name).info;
  }

  readFloat32(name: string, rows?: RowRange): Float32Array {
    const tensor = this.plain(name);
    return readPlainRange(tensor, resolveRows(tensor.info, rows));
  }

  readColumns(name: string, columns: readonly number[]): Float32Array {
    return readPlainColumns(this.plain(name), columns);
  }

  close(): void {
    for (const source of this.sources) source.close();
  }

  private held(name: string): Held {
    const held = this.tensors.get(name);
    if (!held) throw tensorNotFound(this.path, name, this.tensors.keys());
    return held;
  }

  private plain(name: string): PlainTensor {
    const { source, info } = this.held(name);
    if (!isPlainType(info.dtype))
      throw unsupportedFile(
        info.file,
        `the dtype of tensor ${quoted(name)}`,
        info.dtype,
        'F32, F16, BF16 and F64 are.',
      );
    return { source, offset: info.offset, type: info.dtype, info };
  }
}

/**
 * Opens a .safetensors file, a folder that holds model.safetensors or model.safetensors.index.json (or exactly one safetensors
 * file), or such an index. Faults: FILE_NOT_FOUND, TENSOR_FILE_CORRUPT, TENSOR_FILE_UNSUPPORTED.
 */
export const openSafetensors = (path: string): Safetensors => {
  const plan = planShards(path);
  const sources: BoundedFile[] = [];
  try {
    for (const file of plan.files) sources.push(BoundedFile.open(file));
    return new Safetensors(path, sources, plan);
  } catch (problem) {
    for (const source of sources) source.close();
    throw problem;
  }
};
