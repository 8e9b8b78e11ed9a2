/**
 * Reads audits from the store in which they live, by looking again and again: so a console shows audits of any process that writes
 * there, and needs no line to the one that runs them. Prevents nothing from being shown as running that no process works on.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { fault } from '../../shared/errors/fault.js';
import type { AuditRecord } from '../coordinator/audit/audit-record.js';
import type { Report } from '../coordinator/report/report-type.js';
import type { AuditStore } from '../coordinator/store/audit-store.js';
import type { AuditEvent, AuditPage, AuditReader, AuditSummary } from './audit-reader.js';

/** What of a store is read. */
export type ReadableStore = Pick<AuditStore, 'list' | 'readRecord' | 'readEvents' | 'readReport' | 'isLeased'>;

/** Twice a second: quick enough to follow, slow enough to cost nothing. */
const POLL_MS = 500;

export function createStoreReader(store: ReadableStore, pollMs = POLL_MS): AuditReader {
  // A record that says "running" without a living process has a checkpoint and nobody at work.
  const summaryOf = async (record: AuditRecord): Promise<AuditSummary> =>
    record.state === 'running' && !(await store.isLeased(record.id)) ? { ...record, state: 'interrupted' } : record;
  const get = async (id: string): Promise<AuditSummary> => summaryOf(await store.readRecord(id));
  return {
    get,
    list: async ({ size, token }) => {
      const { records, nextPageToken } = pageOf(await store.list(), size, token);
      return { audits: await Promise.all(records.map(summaryOf)), nextPageToken };
    },
    watch: (id, afterSequence, signal) => follow(store, get, id, afterSequence, signal, pollMs),
    report: async (id) => readReport(store, id),
  };
}

/** The token of a page is the id of the last audit on the page before it. */
function pageOf(
  records: readonly AuditRecord[],
  size: number,
  token: string,
): { records: readonly AuditRecord[] } & Pick<AuditPage, 'nextPageToken'> {
  const last = records.findIndex(({ id }) => id === token);
  if (token !== '' && last < 0)
    throw fault('REQUEST_INVALID', 'This page of the list does not exist any more: start again at the newest audits.');
  const page = records.slice(last + 1, last + 1 + size);
  return { records: page, nextPageToken: last + 1 + size < records.length ? (page.at(-1)?.id ?? '') : '' };
}

async function* follow(
  store: ReadableStore,
  get: (id: string) => Promise<AuditSummary>,
  id: string,
  afterSequence: number,
  signal: AbortSignal,
  pollMs: number,
): AsyncGenerator<AuditEvent> {
  let seen = afterSequence;
  while (!signal.aborted) {
    // The state is read before the events: what ended by then has all its events stored.
    const { state } = await get(id);
    for (const event of await store.readEvents(id, seen)) {
      seen = event.sequence;
      yield event;
    }
    if (state !== 'running') return;
    await sleep(pollMs, undefined, { signal }).catch(() => {});
  }
}

async function readReport(store: ReadableStore, id: string): Promise<Report> {
  const { state } = await store.readRecord(id);
  const json = await store.readReport(id);
  if (json === undefined)
    throw fault('AUDIT_STATE', `Audit ${id} is ${state} and has no report: there is one once it has succeeded.`);
  try {
    return JSON.parse(json) as Report;
  } catch (cause) {
    throw fault('CHECKPOINT_CORRUPT', `The report of audit ${id} cannot be read: resume the audit to write it again.`, {
      cause,
    });
  }
}
