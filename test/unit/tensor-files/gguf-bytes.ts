/** Writes GGUF files byte by byte, right or wrong on purpose: every field can be replaced. */
const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
const u64 = (value: number | bigint): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
};
const text = (value: string | Uint8Array): Buffer =>
  Buffer.concat([u64(Buffer.from(value).length), Buffer.from(value)]);

export const ggufBytes = { u32, u64, text };

/** A metadata entry: key, value type number, value bytes. */
export const keyValue = (key: string, type: number, value: Uint8Array): Buffer =>
  Buffer.concat([text(key), u32(type), value]);

export interface TensorEntrySpec {
  readonly name?: string;
  /** As in the file: innermost first. */
  readonly dimensions?: readonly (number | bigint)[];
  readonly type?: number;
  readonly offset?: number | bigint;
}

export const tensorEntry = ({ name = 't', dimensions = [4], type = 0, offset = 0 }: TensorEntrySpec): Buffer =>
  Buffer.concat([text(name), u32(dimensions.length), ...dimensions.map(u64), u32(type), u64(offset)]);

export interface GgufSpec {
  readonly magic?: string;
  readonly version?: number;
  readonly tensorCount?: number | bigint;
  readonly keyCount?: number | bigint;
  readonly keys?: readonly Buffer[];
  readonly tensors?: readonly TensorEntrySpec[];
  /** Bytes of tensor data, after padding to 32. */
  readonly dataBytes?: number;
}

export const buildGguf = (spec: GgufSpec): Buffer => {
  const keys = spec.keys ?? [];
  const tensors = spec.tensors ?? [];
  const header = Buffer.concat([
    Buffer.from(spec.magic ?? 'GGUF'),
    u32(spec.version ?? 3),
    u64(spec.tensorCount ?? tensors.length),
    u64(spec.keyCount ?? keys.length),
    ...keys,
    ...tensors.map(tensorEntry),
  ]);
  const padding = (32 - (header.length % 32)) % 32;
  return Buffer.concat([header, Buffer.alloc(padding + (spec.dataBytes ?? 0))]);
};
