/**
 * Reads the header of a GGUF file from front to back in windows of 1 MiB. Every count and length is checked against the bytes that
 * are left before anything is allocated, so that a hostile header costs no more memory than its own size; the limits below bound that.
 */
import { isUtf8 } from 'node:buffer';
import type { BoundedFile } from './bounded-file.js';
import { corruptFile } from './tensor-file-faults.js';

/** The largest headers in use (262k tokens, their scores and 580k merges) have about 20 MB. */
export const MAX_HEADER_BYTES = 128 << 20;

const WINDOW_BYTES = 1 << 20;

export class GgufCursor {
  /** Byte offset of the next value. */
  position = 0;
  /** What is being read, for fault texts. */
  field = 'the magic number';
  private window: Buffer = Buffer.alloc(0);
  private windowStart = 0;

  constructor(private readonly file: BoundedFile) {}

  get path(): string {
    return this.file.path;
  }

  /** Bytes that a header may still have. */
  get left(): number {
    return Math.min(this.file.size, MAX_HEADER_BYTES) - this.position;
  }

  u8 = (): number => this.take(1).readUInt8(this.at);
  i8 = (): number => this.take(1).readInt8(this.at);
  u16 = (): number => this.take(2).readUInt16LE(this.at);
  i16 = (): number => this.take(2).readInt16LE(this.at);
  u32 = (): number => this.take(4).readUInt32LE(this.at);
  i32 = (): number => this.take(4).readInt32LE(this.at);
  f32 = (): number => this.take(4).readFloatLE(this.at);
  f64 = (): number => this.take(8).readDoubleLE(this.at);
  u64 = (): bigint => this.take(8).readBigUInt64LE(this.at);
  i64 = (): bigint => this.take(8).readBigInt64LE(this.at);

  bool(): boolean {
    const value = this.u8();
    if (value > 1) throw corruptFile(this.path, this.field, value, 'a boolean must be 0 or 1');
    return value === 1;
  }

  /** A 64-bit size or offset, at most `limit`. */
  size(what: string, limit: number): number {
    const value = this.u64();
    if (value > BigInt(limit))
      throw corruptFile(this.path, `${what} of ${this.field}`, value, `it must be at most ${limit}`);
    return Number(value);
  }

  /** A count of things that take at least `minBytes` each in the header, at most `limit`. */
  count(what: string, minBytes: number, limit: number): number {
    return this.size(what, Math.max(0, Math.min(limit, Math.floor((this.left - 8) / minBytes))));
  }

  /** A string with its 64-bit length, at most `maxBytes` of UTF-8. */
  string(what: string, maxBytes: number): string {
    const length = this.count(what, 1, maxBytes);
    const bytes = this.take(length).subarray(this.at, this.at + length);
    if (!isUtf8(bytes)) throw corruptFile(this.path, `${what} of ${this.field}`, 'not UTF-8', 'strings must be UTF-8');
    return bytes.toString('utf8');
  }

  private at = 0;

  /** Makes the next `length` bytes available at `this.at` of the returned window, and moves past them. */
  private take(length: number): Buffer {
    if (length > this.left) {
      const limit = Math.min(this.file.size, MAX_HEADER_BYTES);
      throw corruptFile(
        this.path,
        `the end of ${this.field}`,
        `byte ${this.position + length}`,
        `the header must end by byte ${limit}`,
      );
    }
    if (this.position < this.windowStart || this.position + length > this.windowStart + this.window.length) {
      const bytes = this.file.read(this.position, Math.min(this.left, Math.max(length, WINDOW_BYTES)), this.field);
      this.window = Buffer.from(bytes.buffer);
      this.windowStart = this.position;
    }
    this.at = this.position - this.windowStart;
    this.position += length;
    return this.window;
  }
}
