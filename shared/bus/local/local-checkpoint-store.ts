/** Checkpoints in memory, with revisions and fences as the JetStream engine keeps them. */
import type { Checkpoint, CheckpointChange, CheckpointStore, Fence, PutOptions } from '../bus.js';
import { assertRevisionOrFence, fenceLost, revisionConflict } from '../checkpoint-faults.js';
import { assertMessageSize } from '../message-limits.js';
import { assertKey } from '../subjects.js';
import { createWakeUp, type WakeUp } from '../wake-up.js';

const POLL_MS = 5_000;

export class LocalCheckpointStore implements CheckpointStore {
  /** Deleted keys stay, so that watchers hear of them. */
  private readonly changes = new Map<string, CheckpointChange>();
  private readonly watchers = new Set<WakeUp>();
  private last = 0;

  constructor(
    readonly bucket: string,
    private readonly closed: AbortSignal,
  ) {}

  async get(key: string): Promise<Checkpoint | undefined> {
    const change = this.changes.get(assertKey(key));
    return change?.value === undefined ? undefined : { key, value: change.value, revision: change.revision };
  }

  async put(key: string, value: Uint8Array, options: PutOptions = {}): Promise<number> {
    assertMessageSize(`The checkpoint "${key}"`, value);
    return this.write(assertKey(key), value.slice(), options);
  }

  async list(prefix: string): Promise<string[]> {
    return this.below(prefix)
      .filter(({ value }) => value !== undefined)
      .map(({ key }) => key)
      .sort();
  }

  async delete(key: string, options: PutOptions = {}): Promise<void> {
    assertRevisionOrFence(options);
    if (this.changes.get(assertKey(key))?.value === undefined && options.fence === undefined) return;
    this.write(key, undefined, options);
  }

  async *watch(prefix: string, signal: AbortSignal): AsyncGenerator<CheckpointChange> {
    const wakeUp = createWakeUp();
    this.watchers.add(wakeUp);
    const either = AbortSignal.any([signal, this.closed]);
    let seen = 0;
    try {
      while (!either.aborted) {
        const fresh = this.below(prefix)
          .filter(({ revision }) => revision > seen)
          .sort((a, b) => a.revision - b.revision);
        for (const change of fresh) {
          if (either.aborted) return;
          // Deleted before the watch began: nothing that anyone could have known of.
          const isNews = change.value !== undefined || seen > 0;
          seen = change.revision;
          if (isNews) yield change;
        }
        seen = Math.max(seen, 1);
        if (fresh.length === 0) await wakeUp.wait(POLL_MS, either);
      }
    } finally {
      this.watchers.delete(wakeUp);
    }
  }

  private below(prefix: string): CheckpointChange[] {
    const start = prefix === '' ? '' : `${assertKey(prefix)}/`;
    return [...this.changes.values()].filter(({ key }) => key.startsWith(start));
  }

  private write(key: string, value: Uint8Array | undefined, options: PutOptions): number {
    assertRevisionOrFence(options);
    const current = this.changes.get(key);
    const revision = current?.value === undefined ? 0 : current.revision;
    if (options.revision !== undefined && options.revision !== revision) {
      throw revisionConflict(this.bucket, key, options.revision);
    }
    if (options.fence !== undefined && !this.holds(options.fence)) throw fenceLost(this.bucket, key);
    this.last++;
    this.changes.set(key, { key, value, revision: this.last });
    for (const watcher of this.watchers) watcher.ring();
    return this.last;
  }

  private holds(fence: Fence): boolean {
    return this.changes.get(fence.key)?.revision === fence.revision;
  }
}
