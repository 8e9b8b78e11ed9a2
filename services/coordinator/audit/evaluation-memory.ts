/**
 * The evaluations an audit has finished, by the prompt (or stage) they belong to: what search is told as known, and what is written to the
 * checkpoint in small batches. Prevents: an evaluation that is run twice, and one that is lost although its result was used.
 */
import { EvaluationRecord } from '../../../proto/gen/refusalscope/v1/search.js';
import type { AuditStore, StoredEvaluation } from '../store/audit-store.js';

// Small enough that a kill loses about a second of work, large enough not to write for every evaluation.
const BATCH = 32;

export class EvaluationMemory {
  private readonly byScope = new Map<string, Map<string, Uint8Array>>();
  private pending: StoredEvaluation[] = [];
  private writing: Promise<void> = Promise.resolve();

  private constructor(
    private readonly store: AuditStore,
    private readonly auditId: string,
  ) {}

  static async load(store: AuditStore, auditId: string): Promise<EvaluationMemory> {
    const memory = new EvaluationMemory(store, auditId);
    for (const { scope, record } of await store.readEvaluations(auditId)) {
      memory.scopeOf(scope).set(EvaluationRecord.decode(record).key.toString('hex'), record);
    }
    return memory;
  }

  known(scope: string): Uint8Array[] {
    return [...this.scopeOf(scope).values()];
  }

  /** Returns at once; a failed write shows at the next `flush`. */
  remember(scope: string, key: string, record: Uint8Array): void {
    const own = this.scopeOf(scope);
    if (own.has(key)) return;
    own.set(key, record);
    this.pending.push({ scope, record });
    if (this.pending.length >= BATCH) this.write();
  }

  /** Resolves once everything remembered so far is in the store. */
  async flush(): Promise<void> {
    this.write();
    await this.writing;
  }

  private write(): void {
    if (this.pending.length === 0) return;
    const batch = this.pending;
    this.pending = [];
    this.writing = this.writing.then(() => this.store.appendEvaluations(this.auditId, batch));
    // The failure is kept in `writing` for flush; without this line it would also be an unhandled rejection.
    this.writing.catch(() => undefined);
  }

  private scopeOf(scope: string): Map<string, Uint8Array> {
    const own = this.byScope.get(scope) ?? new Map<string, Uint8Array>();
    this.byScope.set(scope, own);
    return own;
  }
}
