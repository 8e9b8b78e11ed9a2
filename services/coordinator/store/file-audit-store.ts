/** Audits in a folder, one subfolder each: spec.json, state.json, results/, evaluations.binlog, events.jsonl, report.json, lease. */
import { appendFile, mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fault } from '../../../shared/errors/fault.js';
import type { AuditEvent } from '../audit/audit-event.js';
import type { AuditRecord } from '../audit/audit-record.js';
import type { AuditSpec } from '../audit/audit-spec.js';
import { parseRecord } from '../audit/parse-record.js';
import type { AuditStore, EvidenceName, StoredEvaluation } from './audit-store.js';
import { encodeFrame, readEvaluationLog, repairEvaluationLog } from './evaluation-log.js';
import { acquireProcessLease, isLeaseHeld } from './process-lease.js';
import { writeAtomically } from './write-atomically.js';

// Ids become folder names: anything else could climb out of the state folder.
const ID_PATTERN = /^[a-z0-9][a-z0-9-]{0,63}$/;
const KEY_PATTERN = /^[a-z0-9-]+(\/[a-z0-9-]+)?$/;

export class FileAuditStore implements AuditStore {
  readonly isShared = false;

  constructor(private readonly folder: string) {}

  async create(record: AuditRecord, spec: AuditSpec): Promise<void> {
    await mkdir(this.pathOf(record.id, 'results'), { recursive: true, mode: 0o700 });
    await onDisk(this.folder, writeAtomically(this.pathOf(record.id, 'spec.json'), JSON.stringify(spec)));
    await this.writeRecord(record);
  }

  async list(): Promise<AuditRecord[]> {
    const names = await readdir(this.folder).catch(() => [] as string[]);
    const found: AuditRecord[] = [];
    for (const id of names.filter((name) => ID_PATTERN.test(name))) {
      // A folder without a readable state.json is no audit: its process died while it was being created.
      const record = await this.readRecord(id).catch(() => undefined);
      if (record !== undefined) found.push(record);
    }
    return found.sort((a, b) => b.createdAt.localeCompare(a.createdAt) || b.id.localeCompare(a.id));
  }

  async readRecord(id: string): Promise<AuditRecord> {
    return parseRecord(await this.readJson(id, 'state.json'), this.pathOf(id, 'state.json'));
  }

  async readSpec(id: string): Promise<AuditSpec> {
    return (await this.readJson(id, 'spec.json')) as AuditSpec;
  }

  async writeRecord(record: AuditRecord): Promise<void> {
    const text = JSON.stringify(record, null, 1);
    await onDisk(this.folder, writeAtomically(this.pathOf(record.id, 'state.json'), text));
  }

  async readResult(id: string, key: string): Promise<unknown> {
    const name = this.resultName(key);
    const text = await this.readText(id, name);
    return text === undefined ? undefined : parse(text, this.pathOf(id, name));
  }

  async writeResult(id: string, key: string, value: unknown): Promise<void> {
    await onDisk(this.folder, writeAtomically(this.pathOf(id, this.resultName(key)), JSON.stringify(value)));
  }

  readEvaluations(id: string): Promise<StoredEvaluation[]> {
    return readEvaluationLog(this.pathOf(id, 'evaluations.binlog'));
  }

  async appendEvaluations(id: string, evaluations: readonly StoredEvaluation[]): Promise<void> {
    const frames = Buffer.concat(evaluations.map(encodeFrame));
    await onDisk(this.folder, appendFile(this.pathOf(id, 'evaluations.binlog'), frames, { mode: 0o600 }));
  }

  async readEvents(id: string, afterSequence: number): Promise<AuditEvent[]> {
    const text = (await this.readText(id, 'events.jsonl')) ?? '';
    return text
      .split('\n')
      .flatMap(parseLine)
      .filter((event) => event.sequence > afterSequence);
  }

  async appendEvent(id: string, event: AuditEvent): Promise<void> {
    const line = `${JSON.stringify(event)}\n`;
    await onDisk(this.folder, appendFile(this.pathOf(id, 'events.jsonl'), line, { mode: 0o600 }));
  }

  readReport(id: string): Promise<string | undefined> {
    return this.readText(id, 'report.json');
  }

  async writeReport(id: string, json: string): Promise<void> {
    await onDisk(this.folder, writeAtomically(this.pathOf(id, 'report.json'), json));
  }

  readEvidence(id: string, name: EvidenceName): Promise<string | undefined> {
    return this.readText(id, name);
  }

  async writeEvidence(id: string, name: EvidenceName, text: string): Promise<void> {
    await onDisk(this.folder, writeAtomically(this.pathOf(id, name), text));
  }

  async acquireLease(id: string) {
    const lease = await acquireProcessLease(this.pathOf(id, 'lease'));
    if (lease !== undefined) await this.repair(id);
    return lease;
  }

  /** No other process can take the lease of one that lives. */
  holdsLease(): boolean {
    return true;
  }

  isLeased(id: string): Promise<boolean> {
    return isLeaseHeld(this.pathOf(id, 'lease'));
  }

  /** Cuts off what a killed writer left half done, before anything is appended behind it. */
  private async repair(id: string): Promise<void> {
    await repairEvaluationLog(this.pathOf(id, 'evaluations.binlog'));
    const text = await this.readText(id, 'events.jsonl');
    const whole = text?.slice(0, text.lastIndexOf('\n') + 1);
    if (whole !== undefined && whole !== text) await writeAtomically(this.pathOf(id, 'events.jsonl'), whole);
  }

  private pathOf(id: string, name: string): string {
    if (!ID_PATTERN.test(id)) throw fault('AUDIT_UNKNOWN', `No audit has the id ${JSON.stringify(id.slice(0, 64))}.`);
    return join(this.folder, id, name);
  }

  private resultName(key: string): string {
    if (!KEY_PATTERN.test(key)) throw fault('INTERNAL', `${JSON.stringify(key)} is no key of a result.`);
    return join('results', `${key}.json`);
  }

  private async readText(id: string, name: string): Promise<string | undefined> {
    try {
      return await readFile(this.pathOf(id, name), 'utf8');
    } catch (thrown) {
      if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') return undefined;
      throw thrown;
    }
  }

  private async readJson(id: string, name: string): Promise<unknown> {
    const text = await this.readText(id, name);
    if (text === undefined) throw fault('AUDIT_UNKNOWN', `No audit has the id ${JSON.stringify(id)}.`);
    return parse(text, this.pathOf(id, name));
  }
}

/** A full disk is no defect, and a person can do something about it. */
const onDisk = async (folder: string, write: Promise<void>): Promise<void> => {
  try {
    await write;
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
    if (code !== 'ENOSPC' && code !== 'EDQUOT') throw cause;
    const advice = 'Make room, then resume the audit: what it had stored is kept.';
    throw fault('STORAGE_FULL', `The disk of ${folder} has no room for a checkpoint. ${advice}`, { cause });
  }
};

const parse = (text: string, path: string): unknown => {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw fault(
      'CHECKPOINT_CORRUPT',
      `${path} is not JSON. Remove the file to have its stage run again, then resume.`,
      {
        cause,
      },
    );
  }
};

/** A cut last line is dropped: the event it was to hold is written again on resume. */
const parseLine = (line: string): AuditEvent[] => {
  if (line === '') return [];
  try {
    const event = JSON.parse(line) as AuditEvent | null;
    return Number.isSafeInteger(event?.sequence) ? [event as AuditEvent] : [];
  } catch {
    return [];
  }
};
