/**
 * The console: read-only web pages about audits, over node:http. Owns the socket: address, limits, shutdown.
 * Prevents an open door (loopback unless told otherwise) and a held one (bounded headers, times and connections).
 */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fault } from '../../shared/errors/fault.js';
import { acceptedHosts } from './accepted-hosts.js';
import type { AuditReader } from './audit-reader.js';
import { handleRequest } from './handle-request.js';
import { failureOf, sendAnswer } from './http-answer.js';
import { errorPage } from './pages/error-page.js';

export interface ConsoleOptions {
  /** "host:port"; default "127.0.0.1:0" (loopback, a free port). IPv6 in brackets. */
  readonly listen?: string;
  /** Host names to answer to besides loopback and the one listened on; "*" for all. */
  readonly hosts?: readonly string[];
  readonly audits: AuditReader;
  /** Told of defects, with the request id that the page shows. */
  readonly onDefect?: (cause: unknown, requestId: string) => void;
}

export interface RunningConsole {
  /** Such as "http://127.0.0.1:43121/". */
  readonly address: string;
  /** Ends the event streams and waits until every connection is closed. */
  stop(): Promise<void>;
}

// One person's browser needs a handful of connections; these bound what a stray client can hold.
const MAX_CONNECTIONS = 256;
const MAX_HEADER_BYTES = 8 * 1024;
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;
/** How long answers under way may take once the console is stopped. */
const STOP_GRACE_MS = 2_000;

/** Throws CONFIG_INVALID when `listen` is malformed or cannot be listened on. */
export async function startConsole(options: ConsoleOptions): Promise<RunningConsole> {
  const { host, port } = parseListen(options.listen ?? '127.0.0.1:0');
  const accepts = acceptedHosts(host, options.hosts);
  const stopping = new AbortController();
  const limits = {
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
  };
  const server = createServer(limits, (request, response) => {
    void answerRequest(options, accepts, stopping.signal, request, response);
  });
  server.maxConnections = MAX_CONNECTIONS;
  await listen(server, host, port);
  return { address: addressOf(server.address() as AddressInfo), stop: () => stopServer(server, stopping) };
}

async function answerRequest(
  options: ConsoleOptions,
  accepts: (header: string | undefined) => boolean,
  stopping: AbortSignal,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const headOnly = request.method === 'HEAD';
  try {
    if (refuse(request, response, accepts)) return;
    const answer = await handleRequest(options.audits, request, response, stopping);
    if (answer) sendAnswer(response, answer, headOnly);
  } catch (thrown) {
    const requestId = randomUUID();
    const failure = failureOf(thrown, requestId);
    if (failure.defect) options.onDefect?.(thrown, requestId);
    if (response.headersSent) response.destroy();
    else sendAnswer(response, { status: failure.status, type: 'text/html', body: errorPage(failure) }, headOnly);
  }
}

/** Turns away what no route can answer: other methods, bodies, unknown hosts. True if it did. */
function refuse(
  request: IncomingMessage,
  response: ServerResponse,
  accepts: (header: string | undefined) => boolean,
): boolean {
  const turnAway = (status: number, text: string, headers: Record<string, string> = {}): true => {
    sendAnswer(
      response,
      { status, type: 'text/plain', body: `${text}\n`, headers: { Connection: 'close', ...headers } },
      false,
    );
    return true;
  };
  if (request.method !== 'GET' && request.method !== 'HEAD')
    return turnAway(405, 'The console only shows: GET and HEAD.', { Allow: 'GET, HEAD' });
  if (request.headers['transfer-encoding'] !== undefined || Number(request.headers['content-length'] ?? 0) !== 0)
    return turnAway(413, 'The console reads no request body.');
  if (!accepts(request.headers.host))
    return turnAway(421, 'The console does not answer to this host name: see its `hosts` setting.');
  return false;
}

function parseListen(listen: string): { host: string; port: number } {
  const [, host, port] = /^(\[[0-9a-fA-F:.]+\]|[^:[\]]*):(\d{1,5})$/.exec(listen) ?? [];
  if (host === undefined || Number(port) > 65_535)
    throw fault(
      'CONFIG_INVALID',
      `The console's listen address is "${listen}": give "host:port", such as "127.0.0.1:8080".`,
    );
  return { host: host.replace(/^\[|\]$/g, ''), port: Number(port) };
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  try {
    server.listen({ host, port });
    await once(server, 'listening');
  } catch (cause) {
    const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown reason';
    throw fault(
      'CONFIG_INVALID',
      `The console cannot listen on ${host}:${port} (${reason}): give a free port of this machine.`,
      { cause },
    );
  }
}

const addressOf = ({ address, family, port }: AddressInfo): string =>
  `http://${family === 'IPv6' ? `[${address}]` : address}:${port}/`;

async function stopServer(server: Server, stopping: AbortController): Promise<void> {
  stopping.abort();
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const force = setTimeout(() => server.closeAllConnections(), STOP_GRACE_MS);
  await closed;
  clearTimeout(force);
}
