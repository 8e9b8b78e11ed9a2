/** Numbers an audit's events and stores them one after the other; tells watchers in this process that there is something new. */
import type { AuditStore } from '../store/audit-store.js';
import type { AuditFact } from './audit-event.js';

export class EventWriter {
  private writing: Promise<void> = Promise.resolve();

  private constructor(
    private readonly store: AuditStore,
    private readonly auditId: string,
    private sequence: number,
    private readonly onStored: () => void,
  ) {}

  static async open(store: AuditStore, auditId: string, onStored: () => void): Promise<EventWriter> {
    const last = (await store.readEvents(auditId, 0)).at(-1)?.sequence ?? 0;
    return new EventWriter(store, auditId, last, onStored);
  }

  emit(fact: AuditFact): void {
    this.sequence += 1;
    const event = { ...fact, sequence: this.sequence, time: new Date().toISOString() };
    this.writing = this.writing.then(() => this.store.appendEvent(this.auditId, event)).then(this.onStored);
    // Kept for flush; without this line it would also be an unhandled rejection.
    this.writing.catch(() => undefined);
  }

  async flush(): Promise<void> {
    await this.writing;
  }
}
