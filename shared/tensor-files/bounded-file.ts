/**
 * The one way bytes leave a tensor file: by range, with the range checked against the size that the file really has. It prevents
 * reads past the end, whole-file reads, and hanging on pipes and devices. Reads are synchronous (see tensor-source.ts).
 */
import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { endianness } from 'node:os';
import { fault } from '../errors/fault.js';
import { corruptFile } from './tensor-file-faults.js';

/** Linux reads at most 2^31 - 4096 bytes in one call; stay well below. */
const MAX_BYTES_PER_CALL = 1 << 30;

/** Something that fills `target` with its bytes from `offset` on, or faults TENSOR_FILE_CORRUPT naming `what`. */
export interface ByteSource {
  readInto(target: Uint8Array, offset: number, what: string): void;
}

export class BoundedFile implements ByteSource {
  private open = true;

  private constructor(
    readonly path: string,
    /** Bytes, as measured when the file was opened. */
    readonly size: number,
    private readonly descriptor: number,
  ) {}

  /** Opens a regular file. Faults: FILE_NOT_FOUND (missing, unreadable, not a regular file), UNSUPPORTED (big-endian host). */
  static open(path: string): BoundedFile {
    if (endianness() !== 'LE') throw fault('UNSUPPORTED', 'Tensor files are read on little-endian machines only.');
    let descriptor: number | undefined;
    try {
      // Before opening: open() on a pipe would wait for a writer.
      if (!statSync(path).isFile()) throw new Error('not a regular file');
      descriptor = openSync(path, 'r');
      return new BoundedFile(path, fstatSync(descriptor).size, descriptor);
    } catch (cause) {
      if (descriptor !== undefined) closeSync(descriptor);
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw fault('FILE_NOT_FOUND', `${path} cannot be read (${reason}). Check the path and its permissions.`, {
        cause,
      });
    }
  }

  /** Fills `target` with the bytes from `offset` on. `what` names them in the fault TENSOR_FILE_CORRUPT when the file is shorter. */
  readInto(target: Uint8Array, offset: number, what: string): void {
    if (!this.open) throw fault('INTERNAL', `${this.path} was read after it was closed.`);
    const end = offset + target.byteLength;
    if (end > this.size) throw this.tooShort(what, end, this.size);
    let done = 0;
    while (done < target.byteLength) {
      const length = Math.min(target.byteLength - done, MAX_BYTES_PER_CALL);
      const count = readSync(this.descriptor, target, done, length, offset + done);
      if (count === 0) throw this.tooShort(what, end, offset + done);
      done += count;
    }
  }

  /** The bytes [offset, offset + length) in a fresh buffer that starts at byte 0 of its ArrayBuffer. */
  read(offset: number, length: number, what: string): Uint8Array {
    if (offset + length > this.size) throw this.tooShort(what, offset + length, this.size);
    const target = new Uint8Array(length);
    this.readInto(target, offset, what);
    return target;
  }

  close(): void {
    if (!this.open) return;
    this.open = false;
    closeSync(this.descriptor);
  }

  private tooShort(what: string, end: number, size: number) {
    return corruptFile(this.path, `the end of ${what}`, `byte ${end}`, `the file ends at byte ${size}`);
  }
}
