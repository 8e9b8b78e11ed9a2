/**
 * Audits on the bus: values in one bucket of checkpoints, events in the event log. Every write of a running audit carries the fence of its
 * lease, so that a coordinator that lost the audit without knowing cannot write into it any more.
 *   record/ID  spec/ID  result/ID/KEY  evaluations/ID/NUMBER  report/ID  evidence/ID/NAME  lease/ID/...
 */
import { AuditEvent as WireEvent } from '../../../proto/gen/refusalscope/v1/coordinator.js';
import type { Bus, CheckpointStore, PutOptions } from '../../../shared/bus/bus.js';
import { createLeaderLock, type LeaderLease, type LeaderLock } from '../../../shared/bus/leader-lock.js';
import { fault } from '../../../shared/errors/fault.js';
import type { AuditEvent } from '../audit/audit-event.js';
import type { AuditRecord } from '../audit/audit-record.js';
import type { AuditSpec } from '../audit/audit-spec.js';
import { parseRecord } from '../audit/parse-record.js';
import { encodeEvent } from '../wire/audit-to-wire.js';
import { decodeEvent } from '../wire/event-from-wire.js';
import type { AcquireOptions, AuditStore, EvidenceName, Lease, StoredEvaluation } from './audit-store.js';
import { decodeLog, encodeFrame } from './evaluation-log.js';
import { readValue, writeValue } from './split-values.js';

const BUCKET = 'audits';
const ID_PATTERN = /^[a-z0-9][a-z0-9-]{0,63}$/;
// Gets under way at once when a list or a log is read.
const READS = 16;

export interface BusAuditStoreOptions {
  /** Shown to whoever looks at a lease, such as the host's name. */
  readonly holder: string;
  /** How long a dead coordinator's lease stands. */
  readonly termMs: number;
}

export class BusAuditStore implements AuditStore {
  readonly isShared = true;
  private readonly leases = new Map<string, LeaderLease>();
  /** Number of the next piece of an audit's evaluations. */
  private readonly nextPiece = new Map<string, number>();

  private constructor(
    private readonly bus: Bus,
    private readonly values: CheckpointStore,
    private readonly options: BusAuditStoreOptions,
  ) {}

  static async open(bus: Bus, options: BusAuditStoreOptions): Promise<BusAuditStore> {
    return new BusAuditStore(bus, await bus.checkpoints(BUCKET), options);
  }

  async create(record: AuditRecord, spec: AuditSpec): Promise<void> {
    await this.write(`spec/${assertId(record.id)}`, spec, { revision: 0 });
    await this.write(`record/${record.id}`, record, { revision: 0 });
  }

  async list(): Promise<AuditRecord[]> {
    const records = await this.readAll(await this.values.list('record'));
    return records
      .flatMap(({ key, value }) => readableRecord(value, key))
      .sort((a, b) => b.createdAt.localeCompare(a.createdAt) || b.id.localeCompare(a.id));
  }

  async readRecord(id: string): Promise<AuditRecord> {
    return parseRecord(await this.read('record', id), `record/${id}`);
  }

  async readSpec(id: string): Promise<AuditSpec> {
    return (await this.read('spec', id)) as AuditSpec;
  }

  async writeRecord(record: AuditRecord): Promise<void> {
    await this.write(`record/${record.id}`, record, this.fenced(record.id));
  }

  async readResult(id: string, key: string): Promise<unknown> {
    const bytes = await readValue(this.values, `result/${assertId(id)}/${key}`);
    return bytes === undefined ? undefined : parse(bytes, key);
  }

  async writeResult(id: string, key: string, value: unknown): Promise<void> {
    await this.write(`result/${assertId(id)}/${key}`, value, this.fenced(id));
  }

  async readEvaluations(id: string): Promise<StoredEvaluation[]> {
    const pieces = await this.readAll(await this.values.list(`evaluations/${assertId(id)}`));
    return pieces.flatMap(({ key, value }) => {
      const { evaluations, soundBytes } = decodeLog(Buffer.from(value));
      if (soundBytes !== value.length) throw fault('CHECKPOINT_CORRUPT', `The checkpoint "${key}" is damaged.`);
      return evaluations;
    });
  }

  async appendEvaluations(id: string, evaluations: readonly StoredEvaluation[]): Promise<void> {
    const piece = this.nextPiece.get(id) ?? (await this.pieceAfterLast(id));
    this.nextPiece.set(id, piece + 1);
    const frames = Buffer.concat(evaluations.map(encodeFrame));
    await writeValue(this.values, `evaluations/${id}/${String(piece).padStart(8, '0')}`, frames, this.fenced(id));
  }

  async readEvents(id: string, afterSequence: number): Promise<AuditEvent[]> {
    const events: AuditEvent[] = [];
    for await (const { event } of this.bus.events.read(assertId(id), { afterSequence })) {
      events.push(decodeEvent(WireEvent.decode(event)));
    }
    return events;
  }

  appendEvent(id: string, event: AuditEvent): Promise<void> {
    return this.bus.events.append(assertId(id), event.sequence, WireEvent.encode(encodeEvent(id, event)).finish());
  }

  async readReport(id: string): Promise<string | undefined> {
    const bytes = await readValue(this.values, `report/${assertId(id)}`);
    return bytes && Buffer.from(bytes).toString('utf8');
  }

  async writeReport(id: string, json: string): Promise<void> {
    await writeValue(this.values, `report/${assertId(id)}`, Buffer.from(json, 'utf8'), this.fenced(id));
  }

  async readEvidence(id: string, name: EvidenceName): Promise<string | undefined> {
    const bytes = await readValue(this.values, evidenceKey(id, name));
    return bytes && Buffer.from(bytes).toString('utf8');
  }

  async writeEvidence(id: string, name: EvidenceName, text: string): Promise<void> {
    await writeValue(this.values, evidenceKey(id, name), Buffer.from(text, 'utf8'), this.fenced(id));
  }

  async acquireLease(id: string, { waitMs = 0, signal }: AcquireOptions = {}): Promise<Lease | undefined> {
    if (this.leases.get(id)?.isHeld()) return undefined;
    const lease = await this.lockOf(id).acquire({ waitMs, ...(signal && { signal }) });
    if (lease === undefined) return undefined;
    this.leases.set(id, lease);
    // Another coordinator may have written in the meantime.
    this.nextPiece.delete(id);
    const release = async (): Promise<void> => {
      if (this.leases.get(id) === lease) this.leases.delete(id);
      await lease.release();
    };
    return { lost: lease.signal, release };
  }

  holdsLease(id: string): boolean {
    return this.leases.get(id)?.isHeld() === true;
  }

  /** A dead coordinator's lease counts until one that lives takes it over. */
  async isLeased(id: string): Promise<boolean> {
    return (await this.lockOf(id).holder()) !== undefined;
  }

  private async pieceAfterLast(id: string): Promise<number> {
    const last = (await this.values.list(`evaluations/${assertId(id)}`)).at(-1);
    return last === undefined ? 0 : Number(last.slice(last.lastIndexOf('/') + 1)) + 1;
  }

  private lockOf(id: string): LeaderLock {
    return createLeaderLock(this.values, `lease/${assertId(id)}`, this.options);
  }

  /** Of the last lease, held or lost: what comes too late is refused by the server. */
  private fenced(id: string): PutOptions {
    const lease = this.leases.get(id);
    if (lease === undefined) throw fault('INTERNAL', `Audit ${id} was written to without its lease.`);
    return { fence: lease.fence };
  }

  private async read(kind: 'record' | 'spec', id: string): Promise<unknown> {
    const bytes = await readValue(this.values, `${kind}/${assertId(id)}`);
    if (bytes === undefined) throw fault('AUDIT_UNKNOWN', `No audit has the id ${JSON.stringify(id)}.`);
    return parse(bytes, `${kind}/${id}`);
  }

  private write(key: string, value: unknown, options: PutOptions): Promise<void> {
    return writeValue(this.values, key, Buffer.from(JSON.stringify(value), 'utf8'), options);
  }

  /** In the order of the keys; a key that went away in the meantime is left out. */
  private async readAll(keys: readonly string[]): Promise<{ readonly key: string; readonly value: Uint8Array }[]> {
    const found: { readonly key: string; readonly value: Uint8Array }[] = [];
    for (let i = 0; i < keys.length; i += READS) {
      const some = keys.slice(i, i + READS);
      const values = await Promise.all(some.map((key) => readValue(this.values, key)));
      some.forEach((key, j) => {
        const value = values[j];
        if (value !== undefined) found.push({ key, value });
      });
    }
    return found;
  }
}

/** Ids become parts of subjects. */
const assertId = (id: string): string => {
  if (ID_PATTERN.test(id)) return id;
  throw fault('AUDIT_UNKNOWN', `No audit has the id ${JSON.stringify(id.slice(0, 64))}.`);
};

// A dot would part a subject.
const evidenceKey = (id: string, name: EvidenceName): string => `evidence/${assertId(id)}/${name.replace('.', '-')}`;

/** A damaged record is left out of the list; asking for that audit says what is wrong. */
const readableRecord = (value: Uint8Array, key: string): AuditRecord[] => {
  try {
    return [parseRecord(parse(value, key), key)];
  } catch {
    return [];
  }
};

const parse = (bytes: Uint8Array, key: string): unknown => {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (cause) {
    const advice = 'Delete it to have its stage run again, then resume.';
    throw fault('CHECKPOINT_CORRUPT', `The checkpoint "${key}" is not JSON. ${advice}`, { cause });
  }
};
