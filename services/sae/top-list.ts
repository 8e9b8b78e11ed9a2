/** Keeps the `size` largest of a stream of values in a heap, smallest on top. Of equal values the lower index wins, so that results do not depend on block sizes. */
export interface TopItem {
  readonly index: number;
  readonly value: number;
}

/** Whether `a` ranks below `b`. */
const below = (a: TopItem, b: TopItem): boolean => a.value < b.value || (a.value === b.value && a.index > b.index);

export class TopList {
  private readonly heap: TopItem[] = [];

  constructor(private readonly size: number) {}

  offer(index: number, value: number): void {
    const item = { index, value };
    if (this.heap.length < this.size) {
      this.heap.push(item);
      this.rise(this.heap.length - 1);
    } else if (below(this.heap[0]!, item)) {
      this.heap[0] = item;
      this.sink(0);
    }
  }

  descending(): TopItem[] {
    return [...this.heap].sort((a, b) => (below(a, b) ? 1 : -1));
  }

  private rise(start: number): void {
    let at = start;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!below(this.heap[at]!, this.heap[parent]!)) return;
      this.swap(at, parent);
      at = parent;
    }
  }

  private sink(start: number): void {
    let at = start;
    for (;;) {
      const [left, right] = [2 * at + 1, 2 * at + 2];
      let lowest = at;
      if (left < this.heap.length && below(this.heap[left]!, this.heap[lowest]!)) lowest = left;
      if (right < this.heap.length && below(this.heap[right]!, this.heap[lowest]!)) lowest = right;
      if (lowest === at) return;
      this.swap(at, lowest);
      at = lowest;
    }
  }

  private swap(a: number, b: number): void {
    [this.heap[a], this.heap[b]] = [this.heap[b]!, this.heap[a]!];
  }
}
