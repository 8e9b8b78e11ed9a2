/**
 * A lease that at most one process holds, on any checkpoint store. The holder rewrites the lease's key again and again; another process
 * takes it with compare-and-set once the key's revision has stood still for a whole term of its own monotonic clock. The holder counts its
 * term from the moment before its last write was sent and gives up a quarter early, so it has always let go before another can take.
 * No two clocks are ever compared. A holder that was stopped (a paused process) is kept from writing by its fence.
 * Prevents: two coordinators on one audit.
 */
import { isFault } from '../errors/fault.js';
import type { Checkpoint, CheckpointStore, Fence } from './bus.js';
import { sleep, waitAtMost } from './wake-up.js';

export interface LeaderLockOptions {
  /** Shown to whoever looks, such as "coordinator-0". */
  readonly holder: string;
  /** How long a dead holder's lease stands. Default 10 s. */
  readonly termMs?: number;
}

export interface LeaderLease {
  /** For PutOptions.fence of the same store. */
  readonly fence: Fence;
  /** Aborts when the lease is lost or released: stop the work. */
  readonly signal: AbortSignal;
  isHeld(): boolean;
  release(): Promise<void>;
}

export interface LeaderLock {
  /** Undefined if it is not to be had within `waitMs`. A dead holder's lease takes one term: wait longer than that for it. */
  acquire(options: { readonly waitMs: number; readonly signal?: AbortSignal }): Promise<LeaderLease | undefined>;
  /** Who holds the lease, as far as the store knows. */
  holder(): Promise<string | undefined>;
}

const TERM_MS = 10_000;
/** Renewals a term, and looks of those who wait. */
const BEATS = 6;
/** The share of a term after which the holder gives up: room for clocks whose speeds differ. */
const SAFE_SHARE = 0.75;

export const createLeaderLock = (store: CheckpointStore, name: string, options: LeaderLockOptions): LeaderLock => {
  const leaseKey = `${name}/lease`;
  const termMs = options.termMs ?? TERM_MS;
  const beatMs = termMs / BEATS;
  const value = Buffer.from(options.holder, 'utf8');

  const acquire: LeaderLock['acquire'] = async ({ waitMs, signal }) => {
    const deadline = performance.now() + waitMs;
    let seen = { revision: -1, since: 0 };
    while (signal?.aborted !== true) {
      const lookedAt = performance.now();
      const current = await store.get(leaseKey);
      if (current !== undefined && current.revision !== seen.revision) {
        // Counted from after the read: the write may be no older than that.
        seen = { revision: current.revision, since: performance.now() };
      }
      const isFree = current === undefined || lookedAt - seen.since >= termMs;
      const lease = isFree ? await tryTake(current) : undefined;
      if (lease !== undefined) return lease;
      if (performance.now() >= deadline) return undefined;
      await sleep(Math.min(beatMs, Math.max(1, deadline - performance.now())), signal);
    }
    return undefined;
  };

  const tryTake = async (current: Checkpoint | undefined): Promise<LeaderLease | undefined> => {
    const fenceKey = `${name}/fence`;
    try {
      const fenceBefore = (await store.get(fenceKey))?.revision ?? 0;
      const sentAt = performance.now();
      const revision = await store.put(leaseKey, value, { revision: current?.revision ?? 0 });
      // From here on no earlier holder can write under its own fence. Conditional, because this process may have been paused just here
      // for so long that another one holds the lease by now.
      const fence = { key: fenceKey, revision: await store.put(fenceKey, value, { revision: fenceBefore }) };
      return new Held(store, leaseKey, value, { revision, sentAt, termMs, beatMs }, fence);
    } catch (thrown) {
      if (isFault(thrown, 'REVISION_CONFLICT')) return undefined;
      throw thrown;
    }
  };

  return {
    acquire,
    holder: async () => {
      const current = await store.get(leaseKey);
      return current === undefined ? undefined : Buffer.from(current.value).toString('utf8');
    },
  };
};

interface Term {
  readonly revision: number;
  /** Monotonic ms, before the write was sent. */
  readonly sentAt: number;
  readonly termMs: number;
  readonly beatMs: number;
}

class Held implements LeaderLease {
  private readonly ended = new AbortController();
  private revision: number;
  private heldUntil: number;
  private readonly renewing: Promise<void>;
  private expiry: NodeJS.Timeout | undefined;

  constructor(
    private readonly store: CheckpointStore,
    private readonly key: string,
    private readonly value: Uint8Array,
    private readonly term: Term,
    readonly fence: Fence,
  ) {
    this.revision = term.revision;
    this.heldUntil = term.sentAt;
    this.extend(term.sentAt);
    this.renewing = this.renew();
  }

  get signal(): AbortSignal {
    return this.ended.signal;
  }

  isHeld(): boolean {
    return !this.ended.signal.aborted && performance.now() < this.heldUntil;
  }

  async release(): Promise<void> {
    this.end();
    // A renewal under way would make the revision below wrong; one that hangs with its server is not waited for.
    await waitAtMost(this.renewing, this.term.beatMs);
    if (await this.giveBack()) return;
    // The server was away, and a renewal that hung with it came first: left so, the lease would stand for a term, held by nobody.
    await this.renewing;
    await this.giveBack();
  }

  /** False if the lease is not what this process wrote last. */
  private async giveBack(): Promise<boolean> {
    try {
      await this.store.delete(this.key, { revision: this.revision });
      return true;
    } catch (thrown) {
      if (isFault(thrown, 'REVISION_CONFLICT')) return false;
      throw thrown;
    }
  }

  private async renew(): Promise<void> {
    while (!this.ended.signal.aborted) {
      await sleep(this.term.beatMs, this.ended.signal);
      if (this.ended.signal.aborted) return;
      const sentAt = performance.now();
      try {
        this.revision = await this.store.put(this.key, this.value, { revision: this.revision });
        this.extend(sentAt);
      } catch {
        // Taken by another process, or the server was away for longer than any term: either way it is over.
        this.end();
      }
    }
  }

  private extend(sentAt: number): void {
    this.heldUntil = sentAt + this.term.termMs * SAFE_SHARE;
    clearTimeout(this.expiry);
    this.expiry = setTimeout(() => this.end(), Math.max(0, this.heldUntil - performance.now()));
  }

  private end(): void {
    clearTimeout(this.expiry);
    this.ended.abort();
  }
}
