/** Writes zip files byte by byte, right or wrong on purpose, and npy arrays to put into them. */
import { deflateRawSync } from 'node:zlib';

export interface ZipMember {
  readonly name: string;
  readonly data: Uint8Array;
  readonly deflate?: boolean;
  /** Fields of the directory to falsify. */
  readonly length?: number;
  readonly storedLength?: number;
  readonly crc?: number;
  readonly method?: number;
  readonly flags?: number;
  readonly localOffset?: number;
  /** Sizes as zip64 extra field only. */
  readonly zip64?: boolean;
}

const FULL = 0xffffffff;

/** Bit by bit, unlike the reader's table (node:zlib has it only from 20.15 on). */
const crc32 = (data: Uint8Array): number => {
  let crc = ~0;
  for (const byte of data) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
};

export const buildZip = (
  members: readonly ZipMember[],
  end: { count?: number; length?: number; start?: number } = {},
): Buffer => {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const member of members) {
    const name = Buffer.from(member.name);
    const stored = member.deflate ? deflateRawSync(member.data) : Buffer.from(member.data);
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50);
    local.writeUInt16LE(name.length, 26);
    parts.push(local, name, stored);
    directory.push(centralEntry(member, name, stored.length, offset));
    offset += 30 + name.length + stored.length;
  }
  const central = Buffer.concat(directory);
  const tail = Buffer.alloc(22);
  tail.writeUInt32LE(0x06054b50);
  tail.writeUInt16LE(end.count ?? members.length, 10);
  tail.writeUInt32LE(end.length ?? central.length, 12);
  tail.writeUInt32LE(end.start ?? offset, 16);
  return Buffer.concat([...parts, central, tail]);
};

const centralEntry = (member: ZipMember, name: Buffer, storedLength: number, offset: number): Buffer => {
  const entry = Buffer.alloc(46);
  const sizes = [
    member.length ?? member.data.length,
    member.storedLength ?? storedLength,
    member.localOffset ?? offset,
  ] as const;
  entry.writeUInt32LE(0x02014b50);
  entry.writeUInt16LE(member.flags ?? 0, 8);
  entry.writeUInt16LE(member.method ?? (member.deflate ? 8 : 0), 10);
  entry.writeUInt32LE(member.crc ?? crc32(member.data), 16);
  entry.writeUInt32LE(member.zip64 ? FULL : sizes[1], 20);
  entry.writeUInt32LE(member.zip64 ? FULL : sizes[0], 24);
  entry.writeUInt16LE(name.length, 28);
  entry.writeUInt16LE(member.zip64 ? 28 : 0, 30);
  entry.writeUInt32LE(member.zip64 ? FULL : sizes[2], 42);
  if (!member.zip64) return Buffer.concat([entry, name]);
  const extra = Buffer.alloc(28);
  extra.writeUInt16LE(1);
  extra.writeUInt16LE(24, 2);
  sizes.forEach((size, i) => {
    extra.writeBigUInt64LE(BigInt(size), 4 + 8 * i);
  });
  return Buffer.concat([entry, name, extra]);
};

/** An npy array with any header text. */
export const npyBytes = (header: string, data: Uint8Array = Buffer.alloc(0), version = 1, length?: number): Buffer => {
  const start = Buffer.alloc(version === 1 ? 10 : 12);
  start.write('\x93NUMPY', 'latin1');
  start[6] = version;
  if (version === 1) start.writeUInt16LE(length ?? header.length, 8);
  else start.writeUInt32LE(length ?? header.length, 8);
  return Buffer.concat([start, Buffer.from(header), data]);
};

export const npyHeader = (descr: string, shape: string, fortran = false): string =>
  `{'descr': ${descr}, 'fortran_order': ${fortran ? 'True' : 'False'}, 'shape': ${shape}, }\n`;
