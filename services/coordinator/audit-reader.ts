/** The console's view of the audits: plain data, nothing that changes them. */
import type { AuditReader, AuditSummary } from '../console/audit-reader.js';
import type { AuditRecord } from './audit/audit-record.js';
import type { Audits } from './audit/audits.js';
import { parseReport } from './report/parse-report.js';
import { pageOf } from './wire/page-of.js';

export const createAuditReader = (audits: Audits): AuditReader => ({
  async list({ size, token }) {
    const page = pageOf(await audits.list(), size, token);
    return { audits: page.items.map(summarizeRecord), nextPageToken: page.nextToken };
  },
  async get(id) {
    return summarizeRecord(await audits.get(id));
  },
  async *watch(id, afterSequence, signal) {
    await audits.get(id);
    yield* audits.watch(id, afterSequence, signal);
  },
  async report(id) {
    return parseReport(await audits.report(id));
  },
});

const summarizeRecord = ({
  id,
  title,
  state,
  stage,
  createdAt,
  updatedAt,
  evaluations,
  evaluationsReused,
  error,
}: AuditRecord): AuditSummary => ({
  id,
  title,
  state,
  stage,
  createdAt,
  updatedAt,
  evaluations,
  evaluationsReused,
  error,
});
