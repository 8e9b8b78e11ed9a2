/**
 * Blocks of weights that were read, under one memory budget for all SAEs of the process; the block used longest ago goes first.
 * A matrix that takes more than a quarter of the budget is not cached at all: one scan of it would push out everything else.
 */
const LARGEST_SHARE = 1 / 4;

export class BlockCache {
  /** A Map keeps the order of insertion: the first key is the one used longest ago. */
  private readonly blocks = new Map<string, Float32Array>();
  private held = 0;

  constructor(readonly maxBytes: number) {}

  /** Whether a matrix of so many bytes may use the cache. */
  fits(bytes: number): boolean {
    return bytes <= this.maxBytes * LARGEST_SHARE;
  }

  get bytes(): number {
    return this.held;
  }

  get(key: string, read: () => Float32Array): Float32Array {
    const found = this.blocks.get(key);
    if (found !== undefined) {
      this.blocks.delete(key);
      this.blocks.set(key, found);
      return found;
    }
    const values = read();
    this.blocks.set(key, values);
    this.held += values.byteLength;
    for (const [oldest, block] of this.blocks) {
      if (this.held <= this.maxBytes) break;
      this.blocks.delete(oldest);
      this.held -= block.byteLength;
    }
    return values;
  }
}
