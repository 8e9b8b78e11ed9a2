/**
 * Follows an audit to its end and writes its report. Ctrl-C stops an embedded audit at a checkpoint and says how to go on; a second
 * Ctrl-C ends the process at once.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { AuditState, ReportFormat } from '../../proto/gen/refusalscope/v1/coordinator.js';
import { fault, isFault } from '../../shared/errors/fault.js';
import type { Report } from '../coordinator/report/report-type.js';
import type { Output } from './console-output.js';
import { EXIT_CODES, type ExitName } from './exit-codes.js';
import type { OpenCoordinator } from './open-coordinator.js';
import { ProgressView } from './progress-view.js';
import { formatSummary } from './summary-text.js';

export interface FollowOptions {
  readonly coordinator: OpenCoordinator;
  readonly auditId: string;
  readonly outDir: string;
  /** The command that goes on after an interruption. */
  readonly resumeCommand: string;
  readonly output: Output;
  /** Event to start after, so that a resumed audit does not print its past. */
  readonly afterSequence?: number;
}

export const followAudit = async (options: FollowOptions): Promise<ExitName> => {
  const interrupt = new AbortController();
  const onSignal = () => {
    if (interrupt.signal.aborted) process.exit(EXIT_CODES.INTERRUPTED.code);
    interrupt.abort();
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, onSignal);
  try {
    await watch(options, interrupt.signal);
    return await finish(options);
  } catch (thrown) {
    if (!interrupt.signal.aborted) throw thrown;
    return await leave(options);
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, onSignal);
  }
};

const watch = async ({ coordinator, auditId, output, afterSequence = 0 }: FollowOptions, signal: AbortSignal) => {
  const view = new ProgressView(output);
  let last = afterSequence;
  for (;;) {
    try {
      for await (const { event } of coordinator.client.watchAudit({ id: auditId, afterSequence: last }, { signal })) {
        if (event === undefined) continue;
        last = event.sequence;
        view.show(event);
      }
      return;
    } catch (thrown) {
      // A coordinator that restarts drops its streams; what was missed is stored there.
      if (signal.aborted || coordinator.embedded || !isFault(thrown, 'STARTING')) throw thrown;
    }
  }
};

const finish = async ({ coordinator, auditId, outDir, resumeCommand, output }: FollowOptions): Promise<ExitName> => {
  const { audit } = await coordinator.client.getAudit({ id: auditId });
  if (audit?.state !== AuditState.AUDIT_STATE_SUCCEEDED) {
    output.note(`Audit ${auditId} ended without a report. ${audit?.error ?? ''}`.trim());
    output.note(`Its checkpoint is kept. To go on: ${resumeCommand}`);
    return 'AUDIT_FAILED';
  }
  const { report, paths } = await writeReports(coordinator, auditId, outDir);
  for (const line of formatSummary(report)) output.result(line);
  output.result('');
  for (const path of paths) output.result(path);
  return 'OK';
};

const leave = async ({ coordinator, auditId, resumeCommand, output }: FollowOptions): Promise<ExitName> => {
  if (coordinator.embedded) {
    output.note('Stopping at a checkpoint (Ctrl-C again to end at once)...');
    await coordinator.close();
    output.note(`The checkpoint is written. To go on: ${resumeCommand}`);
  } else {
    output.note(`Audit ${auditId} goes on without this command. To watch it again: ${resumeCommand}`);
  }
  return 'INTERRUPTED';
};

export const fetchReport = async ({ client }: OpenCoordinator, id: string, format: ReportFormat): Promise<string> => {
  const chunks: Uint8Array[] = [];
  for await (const { chunk } of client.getReport({ id, format })) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
};

const writeReports = async (coordinator: OpenCoordinator, id: string, outDir: string) => {
  const json = await fetchReport(coordinator, id, ReportFormat.REPORT_FORMAT_JSON);
  const html = await fetchReport(coordinator, id, ReportFormat.REPORT_FORMAT_HTML);
  const paths = [resolve(join(outDir, 'report.json')), resolve(join(outDir, 'report.html'))] as const;
  try {
    await mkdir(outDir, { recursive: true });
    await writeFile(paths[0], json);
    await writeFile(paths[1], html);
  } catch (cause) {
    throw fault(
      'CONFIG_INVALID',
      `The report cannot be written to ${resolve(outDir)}: choose another folder with --out.`,
      {
        cause,
      },
    );
  }
  return { report: JSON.parse(json) as Report, paths };
};
