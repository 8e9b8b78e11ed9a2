/**
 * Numbers an audit's events and stores them one after the other; tells watchers in this process that there is something new. Prevents: an
 * audit that fails because its former holder, frozen and woken, stored one last event after this one had looked.
 */
import { isFault } from '../../../shared/errors/fault.js';
import type { AuditStore } from '../store/audit-store.js';
import type { AuditFact } from './audit-event.js';

export class EventWriter {
  private writing: Promise<void> = Promise.resolve();

  private constructor(
    private readonly store: AuditStore,
    private readonly auditId: string,
    /** Of the last stored event. */
    private sequence: number,
    private readonly onStored: () => void,
  ) {}

  static async open(store: AuditStore, auditId: string, onStored: () => void): Promise<EventWriter> {
    return new EventWriter(store, auditId, await lastSequence(store, auditId), onStored);
  }

  emit(fact: AuditFact): void {
    const time = new Date().toISOString();
    this.writing = this.writing.then(() => this.append(fact, time)).then(this.onStored);
    // Kept for flush; without this line it would also be an unhandled rejection.
    this.writing.catch(() => undefined);
  }

  async flush(): Promise<void> {
    await this.writing;
  }

  private async append(fact: AuditFact, time: string): Promise<void> {
    for (;;) {
      try {
        await this.store.appendEvent(this.auditId, { ...fact, sequence: this.sequence + 1, time });
        this.sequence += 1;
        return;
      } catch (thrown) {
        if (!isFault(thrown, 'REVISION_CONFLICT') || !this.store.holdsLease(this.auditId)) throw thrown;
        this.sequence = await lastSequence(this.store, this.auditId);
      }
    }
  }
}

const lastSequence = async (store: AuditStore, auditId: string): Promise<number> =>
  (await store.readEvents(auditId, 0)).at(-1)?.sequence ?? 0;
