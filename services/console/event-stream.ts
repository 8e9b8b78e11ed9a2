/**
 * Owns server-sent events: an audit's events as they come, with their sequence as event id, so that a browser that lost the
 * line goes on where it was. Prevents a slow reader from filling memory (writes wait for the socket) and a dead one from being kept.
 */
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AuditEvent, AuditReader } from './audit-reader.js';
import { securityHeaders } from './http-answer.js';

/** Proxies commonly close a line that is silent for a minute. */
const HEARTBEAT_MS = 15_000;
const RECONNECT_MS = 2_000;

/** The wire form of one event: id, name and one line of JSON. JSON never holds a raw line break, so it cannot end the event early. */
const eventText = (event: AuditEvent): string =>
  `id: ${event.sequence}\nevent: ${event.kind}\ndata: ${JSON.stringify(event)}\n\n`;

/** The sequence a browser saw last: a whole number from 0, anything else counts as 0. */
function lastSeen(header: string | string[] | undefined): number {
  const text = typeof header === 'string' ? header : '';
  return /^\d{1,15}$/.test(text) ? Number(text) : 0;
}

/** Streams until the audit ends, the reader goes away, or `stopping` aborts. Throws only before the first byte. */
export async function streamEvents(
  audits: AuditReader,
  id: string,
  request: IncomingMessage,
  response: ServerResponse,
  stopping: AbortSignal,
): Promise<void> {
  await audits.get(id);
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const signal = AbortSignal.any([gone.signal, stopping]);
  response.writeHead(200, {
    ...securityHeaders(),
    'Content-Type': 'text/event-stream; charset=utf-8',
    Connection: 'close',
  });
  response.write(`retry: ${RECONNECT_MS}\n\n`);
  const heartbeat = setInterval(() => response.write(': still here\n\n'), HEARTBEAT_MS);
  try {
    for await (const event of audits.watch(id, lastSeen(request.headers['last-event-id']), signal)) {
      if (signal.aborted) break;
      if (!response.write(eventText(event))) await once(response, 'drain', { signal });
    }
    // Without a last word the browser would take the end for a lost line and ask again for ever.
    if (!signal.aborted) response.write('event: end-of-events\ndata: {}\n\n');
  } catch (thrown) {
    // Once bytes are out there is no status left to send: the line ends, and the browser asks again from the last id.
    if (!signal.aborted) response.destroy(thrown instanceof Error ? thrown : undefined);
  } finally {
    clearInterval(heartbeat);
    response.end();
  }
}
