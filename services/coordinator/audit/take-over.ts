/**
 * Goes on with audits that a dead or stopped coordinator left, on a store that several coordinators share: waits for the lease of each
 * running audit, and whoever gets it first goes on from the checkpoint. Prevents: an audit that waits for a person although another
 * coordinator lives, and one that two of them run.
 */

import { sleep } from '../../../shared/bus/wake-up.js';
import type { Logger } from '../../../shared/log/create-logger.js';
import type { AuditStore, Lease } from '../store/audit-store.js';
import type { AuditRecord } from './audit-record.js';

// A new audit, or one whose lease was just lost, is seen after this.
const LOOK_MS = 2_000;
// Longer than any term; then the list of audits is read anew.
const WAIT_MS = 600_000;

export interface TakeOverOptions {
  readonly store: AuditStore;
  readonly logger: Logger;
  isOurs(id: string): boolean;
  /** Gets an audit with its lease, which is its own from then on. */
  goOn(record: AuditRecord, lease: Lease): Promise<void>;
}

export class TakeOver {
  private readonly ended = new AbortController();
  private readonly waiting = new Map<string, Promise<void>>();
  private readonly looking: Promise<void>;

  constructor(private readonly options: TakeOverOptions) {
    this.looking = this.look();
  }

  /** Nothing is taken over any more once this resolves. */
  async stop(): Promise<void> {
    this.ended.abort();
    await this.looking;
    await Promise.all(this.waiting.values());
  }

  private async look(): Promise<void> {
    const { store, logger, isOurs } = this.options;
    while (!this.ended.signal.aborted) {
      try {
        for (const { id, state } of await store.list()) {
          if (state !== 'running' || isOurs(id) || this.waiting.has(id) || this.ended.signal.aborted) continue;
          const wait = this.waitFor(id).catch((thrown) => logger.error({ err: thrown, auditId: id }, 'no take-over'));
          this.waiting.set(
            id,
            wait.finally(() => this.waiting.delete(id)),
          );
        }
      } catch (thrown) {
        logger.warn({ err: thrown }, 'audits could not be listed');
      }
      await sleep(LOOK_MS, this.ended.signal);
    }
  }

  private async waitFor(id: string): Promise<void> {
    const { store, isOurs, goOn } = this.options;
    const lease = await store.acquireLease(id, { waitMs: WAIT_MS, signal: this.ended.signal });
    if (lease === undefined) return;
    const record = await store.readRecord(id);
    // Its holder may have ended it before it let go.
    if (record.state === 'running' && !isOurs(id) && !this.ended.signal.aborted) await goOn(record, lease);
    else await lease.release();
  }
}
