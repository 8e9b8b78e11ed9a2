/** Rewrites a small safetensors file with other tensors, as float32. For tests of files that are wrong in one place. */
import { writeFileSync } from 'node:fs';
import { openSafetensors } from '../../../shared/tensor-files/safetensors.js';

export interface Tensor {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}
export type Tensors = Map<string, Tensor>;

export const writeSafetensors = (path: string, tensors: Tensors): void => {
  let end = 0;
  const header: Record<string, unknown> = {};
  for (const [name, { shape, values }] of tensors) {
    header[name] = { dtype: 'F32', shape, data_offsets: [end, end + values.byteLength] };
    end += values.byteLength;
  }
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  const data = [...tensors.values()].map(({ values }) =>
    Buffer.from(values.buffer, values.byteOffset, values.byteLength),
  );
  writeFileSync(path, Buffer.concat([length, json, ...data]));
};

export const rewriteSafetensors = (path: string, change: (tensors: Tensors) => void): void => {
  const source = openSafetensors(path);
  const tensors: Tensors = new Map(
    source.list().map(({ name, shape }) => [name, { shape, values: source.readFloat32(name) }]),
  );
  source.close();
  change(tensors);
  writeSafetensors(path, tensors);
};
