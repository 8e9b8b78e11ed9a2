/** The coordinator's RPC handlers: messages in, messages out, nothing else. */
import { type CoordinatorServiceDefinition, ReportFormat } from '../../proto/gen/refusalscope/v1/coordinator.js';
import { fault } from '../../shared/errors/fault.js';
import type { ServiceHandlers } from '../../shared/rpc/start-server.js';
import { mayReadCompletions, type Principal } from '../../shared/security/principal.js';
import { withoutFirstWords } from '../../shared/security/redact-response.js';
import { renderReport } from '../console/report/render-report.js';
import type { Audits } from './audit/audits.js';
import { parseReport } from './report/parse-report.js';
import { encodeAudit, encodeEvent } from './wire/audit-to-wire.js';
import { pageOf } from './wire/page-of.js';
import { decodeSpec } from './wire/spec-from-wire.js';

const CHUNK_BYTES = 1024 * 1024;
const MAX_REQUEST_ID = 128;

export const createCoordinatorService = (audits: Audits): ServiceHandlers<typeof CoordinatorServiceDefinition> => ({
  async createAudit({ spec, requestId }) {
    if (requestId.length > MAX_REQUEST_ID) {
      throw fault(
        'REQUEST_INVALID',
        `request_id has ${requestId.length} characters; at most ${MAX_REQUEST_ID} are taken.`,
      );
    }
    return { audit: encodeAudit(await audits.create(decodeSpec(spec), requestId)) };
  },
  async getAudit({ id }) {
    return { audit: encodeAudit(await audits.get(id)) };
  },
  async listAudits({ pageSize, pageToken }) {
    const page = pageOf(await audits.list(), pageSize, pageToken);
    return { audits: page.items.map(encodeAudit), nextPageToken: page.nextToken };
  },
  async *watchAudit({ id, afterSequence }, context) {
    const signal = AbortSignal.any([context.signal, context.stopping]);
    for await (const event of audits.watch(id, afterSequence, signal)) yield { event: encodeEvent(id, event) };
    if (context.stopping.aborted) throw fault('STARTING', 'The coordinator is stopping; watch again after it is back.');
  },
  async cancelAudit({ id }) {
    return { audit: encodeAudit(await audits.cancel(id)) };
  },
  async resumeAudit({ id }) {
    return { audit: encodeAudit(await audits.resume(id)) };
  },
  async *getReport({ id, format }, { principal }) {
    const json = reportFor(principal, await audits.report(id));
    const text = format === ReportFormat.REPORT_FORMAT_HTML ? renderReport(parseReport(json)) : json;
    const bytes = Buffer.from(text, 'utf8');
    for (let i = 0; i < bytes.length; i += CHUNK_BYTES) yield { chunk: bytes.subarray(i, i + CHUNK_BYTES) };
  },
  async compareAudits({ beforeId, afterId }) {
    return { comparisonJson: JSON.stringify(await audits.compare(beforeId, afterId), null, 1) };
  },
});

/** The report as it is stored, or without the first words of prompts and answers for those who may not read them. */
const reportFor = (principal: Principal | undefined, json: string): string =>
  mayReadCompletions(principal) ? json : `${JSON.stringify(withoutFirstWords(JSON.parse(json)), null, 1)}\n`;
