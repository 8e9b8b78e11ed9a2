/** A model's weights with a LoRA adapter merged in while they are read: W + scale * B A. */
import { fault } from '../../../shared/errors/fault.js';
import type { RowRange, TensorInfo, TensorSource } from '../../../shared/tensor-files/tensor-source.js';
import type { LoraAdapter } from './lora-adapter.js';

export class LoraMergedWeights implements TensorSource {
  constructor(
    private readonly base: TensorSource,
    private readonly adapter: LoraAdapter,
  ) {}

  get path(): string {
    return this.base.path;
  }
  list(): readonly TensorInfo[] {
    return this.base.list();
  }
  has(name: string): boolean {
    return this.base.has(name);
  }
  info(name: string): TensorInfo {
    return this.base.info(name);
  }
  readColumns(name: string, columns: readonly number[]): Float32Array {
    if (this.adapter.find(name) === undefined) return this.base.readColumns(name, columns);
    throw fault('UNSUPPORTED', `Columns of ${name} are not read under an adapter.`);
  }
  close(): void {
    this.base.close();
    this.adapter.close();
  }

  readFloat32(name: string, rows?: RowRange): Float32Array {
    const weight = this.base.readFloat32(name, rows);
    const change = this.adapter.find(name);
    if (change === undefined) return weight;
    addLowRank(weight, this.adapter.readB(name, rows), this.adapter.readA(name), change.rank, change.scale);
    return weight;
  }
}

/** w [n, m] += scale * b [n, r] a [r, m], in place. */
function addLowRank(w: Float32Array, b: Float32Array, a: Float32Array, rank: number, scale: number): void {
  const columns = a.length / rank;
  const rows = b.length / rank;
  for (let i = 0; i < rows; i++) {
    const row = w.subarray(i * columns, (i + 1) * columns);
    for (let k = 0; k < rank; k++) {
      const factor = scale * b[i * rank + k];
      const aRow = a.subarray(k * columns, (k + 1) * columns);
      for (let j = 0; j < columns; j++) row[j] += factor * aRow[j];
    }
  }
}
