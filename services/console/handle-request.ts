/**
 * Owns the console's routes: what is asked, what is answered. GET and HEAD only, bounded path, known hosts.
 * Prevents a request from changing anything: there is no route that does.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { fault } from '../../shared/errors/fault.js';
import type { AuditReader } from './audit-reader.js';
import { CONSOLE_SCRIPT, CONSOLE_STYLE } from './console-assets.js';
import { streamEvents } from './event-stream.js';
import type { HttpAnswer } from './http-answer.js';
import { auditPage } from './pages/audit-page.js';
import { listPage } from './pages/list-page.js';
import { REPORT_POLICY, renderReport } from './report/render-report.js';

/** Longest request target that is read, in characters; ids are at most 128. */
const MAX_TARGET = 1024;
const PAGE_SIZE = 50;
const ROUTE = /^\/audits\/([A-Za-z0-9_.-]{1,128})(\/events|\/report|\/report\.json)?$/;

const html = (body: string, policy?: string): HttpAnswer => ({
  status: 200,
  type: 'text/html',
  body,
  ...(policy === undefined ? {} : { policy }),
});

/** Answers a page; or streams, and then gives nothing back. Throws faults. */
export async function handleRequest(
  audits: AuditReader,
  request: IncomingMessage,
  response: ServerResponse,
  stopping: AbortSignal,
): Promise<HttpAnswer | undefined> {
  const { path, query } = targetOf(request);
  if (path === '/') return showList(audits, query);
  if (path === '/console.css') return { status: 200, type: 'text/css', body: CONSOLE_STYLE.text };
  if (path === '/console.js') return { status: 200, type: 'text/javascript', body: CONSOLE_SCRIPT.text };
  const [, id, view] = ROUTE.exec(path) ?? [];
  if (id === undefined)
    throw fault('FILE_NOT_FOUND', 'The console has no page at this address: the list of audits is at "/".');
  if (view === '/report') return html(renderReport(await audits.report(id)), REPORT_POLICY);
  if (view === '/report.json')
    return { status: 200, type: 'application/json', body: `${JSON.stringify(await audits.report(id), null, 2)}\n` };
  if (view !== '/events') return html(auditPage(await audits.get(id)));
  if (request.method === 'HEAD') return { status: 200, type: 'text/event-stream', body: '' };
  await streamEvents(audits, id, request, response, stopping);
  return undefined;
}

async function showList(audits: AuditReader, query: URLSearchParams): Promise<HttpAnswer> {
  const token = query.get('page') ?? '';
  return html(listPage(await audits.list({ size: PAGE_SIZE, token }), token !== ''));
}

function targetOf(request: IncomingMessage): { path: string; query: URLSearchParams } {
  const target = request.url ?? '/';
  if (target.length > MAX_TARGET)
    throw fault('REQUEST_TOO_LARGE', `The address has ${target.length} characters: at most ${MAX_TARGET} are read.`);
  const cut = target.indexOf('?');
  const path = cut < 0 ? target : target.slice(0, cut);
  return { path, query: new URLSearchParams(cut < 0 ? '' : target.slice(cut + 1)) };
}
