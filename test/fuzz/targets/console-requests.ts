/** Requests to the console over real sockets: paths, queries, headers, and bytes that are no HTTP. */

import { once } from 'node:events';
import { connect } from 'node:net';
import { startConsole } from '../../../services/console/start-console.js';
import type { Report } from '../../../services/coordinator/report/report-type.js';
import { ScriptedAudits } from '../../integration/console/scripted-audits.js';
import type { FuzzTarget } from '../harness/fuzz-target.js';
import { chance, one } from '../mutate/edge-values.js';
import { mutateBytes } from '../mutate/mutate-bytes.js';
import { mutateText } from '../mutate/mutate-text.js';
import { seedJson } from './seeds.js';

const PATHS = [
  '/',
  '/?page=a',
  '/console.css',
  '/console.js',
  '/audits/a',
  '/audits/b/report',
  '/audits/b/report.json',
  '/audits/b/events',
  '/audits/../../etc/passwd',
];
const WORDS = [
  '/',
  '..',
  '%2e',
  '%00',
  '?',
  '&',
  '#',
  'page=',
  '//',
  'HEAD',
  'POST',
  'Transfer-Encoding: chunked\r\n',
  'Content-Length: 5\r\n',
  'Last-Event-ID: 7\r\n',
  '\r\n',
];
/** Answers of HTTP itself to bytes that are no request, and the statuses of the console. */
const STATUSES = new Set([200, 400, 404, 405, 408, 409, 413, 414, 421, 431]);

/** The status of the first answer; 0 where the server closed without one. */
const ask = async (port: number, request: Uint8Array): Promise<number> => {
  const socket = connect(port, '127.0.0.1');
  const parts: Buffer[] = [];
  socket.on('data', (part: Buffer) => parts.push(part));
  // A server that closes while it is written to resets the connection.
  socket.on('error', () => {});
  socket.setTimeout(2_000, () => socket.destroy());
  socket.end(request);
  await once(socket, 'close');
  return Number(/^HTTP\/1\.1 (\d{3})/.exec(Buffer.concat(parts).toString('latin1'))?.[1] ?? 0);
};

export const consoleRequests: FuzzTarget = {
  name: 'console',
  reads: 'HTTP requests to the console, over sockets',
  weight: 2,
  shortCases: 30,
  open: async () => {
    const audits = new ScriptedAudits();
    audits.add('a');
    audits.emit('a', { kind: 'ended', state: 'failed', error: 'x' });
    audits.add('b');
    audits.finish('b', seedJson('console/report.json') as unknown as Report);
    const defects: unknown[] = [];
    const console = await startConsole({ audits, onDefect: (cause) => defects.push(cause) });
    const port = Number(new URL(console.address).port);
    return {
      make: (random) => {
        const path = chance(random, 0.6) ? mutateText(random, one(random, PATHS), WORDS, 2) : one(random, PATHS);
        const text = `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n`;
        const request = chance(random, 0.3) ? mutateText(random, text, WORDS, 3) : text;
        return { request: chance(random, 0.1) ? mutateBytes(random, [Buffer.from(request)], 3) : Buffer.from(request) };
      },
      decode: async ({ request }) => {
        const status = await ask(port, request!);
        if (defects.length > 0) throw defects.pop();
        if (status !== 0 && !STATUSES.has(status)) throw new Error(`answered with ${status}`);
        return status === 200;
      },
      close: async () => {
        if ((await ask(port, Buffer.from('GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n'))) !== 200)
          throw new Error('the console does not answer any more');
        await console.stop();
      },
    };
  },
};
