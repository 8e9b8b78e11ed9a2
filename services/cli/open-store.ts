/** Finished audits without any service running: the read-only commands look at the state folder, or ask a coordinator at --connect. */
import { join } from 'node:path';
import { ReportFormat } from '../../proto/gen/refusalscope/v1/coordinator.js';
import { fault } from '../../shared/errors/fault.js';
import { renderReport } from '../console/report/render-report.js';
import type { AuditRecord } from '../coordinator/audit/audit-record.js';
import { parseReport } from '../coordinator/report/parse-report.js';
import { FileAuditStore } from '../coordinator/store/file-audit-store.js';
import type { CommandContext } from './command-context.js';
import { fetchReport } from './follow-audit.js';
import { connectCoordinator } from './open-coordinator.js';

export interface WhereFlags {
  readonly stateDir: string;
  readonly connect?: string;
}

export const openStore = (stateDir: string): FileAuditStore => new FileAuditStore(join(stateDir, 'audits'));

/** Throws AUDIT_UNKNOWN, and AUDIT_STATE without a report. */
export const readReport = async (
  id: string,
  format: 'json' | 'html',
  where: WhereFlags,
  context: CommandContext,
): Promise<string> => {
  if (where.connect !== undefined) {
    const coordinator = await connectCoordinator(where.connect, context);
    const wanted = format === 'html' ? ReportFormat.REPORT_FORMAT_HTML : ReportFormat.REPORT_FORMAT_JSON;
    return fetchReport(coordinator, id, wanted).finally(() => coordinator.close());
  }
  const store = openStore(where.stateDir);
  const record = await store.readRecord(id);
  const json = await store.readReport(id);
  if (json === undefined) throw fault('AUDIT_STATE', `Audit ${id} is ${record.state}: it has no report yet.`);
  return format === 'html' ? renderReport(parseReport(json)) : json;
};

/** The newest audit that has a report. */
export const newestReported = (records: readonly AuditRecord[]): string => {
  const found = records.find((record) => record.state === 'succeeded');
  if (found === undefined) throw fault('AUDIT_UNKNOWN', 'No audit here has a report yet. Run: npx refusalscope start');
  return found.id;
};
