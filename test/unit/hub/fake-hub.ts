/** A hub on loopback with a handful of small files, which can cut a transfer, lie about a hash, or ask for a token. */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export const COMMIT = '0123456789abcdef0123456789abcdef01234567';

export interface FakeFile {
  readonly content: Buffer;
  /** Listed with a sha256, as large files are; else with the id of its git blob. */
  readonly large?: boolean;
  /** Another content than the one that was hashed. */
  readonly served?: Buffer;
}

export interface FakeHub {
  readonly url: string;
  /** "PATH from-to" of every request for content. */
  readonly asked: string[];
  /** All requests. */
  requests: number;
  /** Bytes after which the next transfers break off, one an entry. */
  cuts: number[];
  token?: string;
  /** Answers 5xx so many times. */
  failures: number;
  close(): void;
}

export async function startFakeHub(repo: string, files: Readonly<Record<string, FakeFile>>): Promise<FakeHub> {
  const hub: Omit<FakeHub, 'url' | 'close'> = { asked: [], requests: 0, cuts: [], failures: 0 };
  const server: Server = createServer((request, response) => {
    hub.requests++;
    answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  return Object.assign(hub, { url, close });

  function answer(request: IncomingMessage, response: ServerResponse): void {
    const path = decodeURIComponent(new URL(request.url ?? '/', 'http://hub').pathname);
    const json = (status: number, value: unknown): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
    };
    const content = `/${repo}/resolve/${COMMIT}/`;
    const name = path.slice(content.length);
    const file = path.startsWith(content) ? files[name] : undefined;
    if (hub.token !== undefined && request.headers.authorization !== `Bearer ${hub.token}`)
      json(401, { error: 'gated' });
    else if (path.startsWith(`/api/models/${repo}/revision/`)) json(200, { _id: 'x', id: repo, sha: COMMIT });
    else if (path === `/api/models/${repo}/tree/${COMMIT}`) json(200, Object.entries(files).map(listed));
    else if (file === undefined) json(404, { error: 'no such thing' });
    else if (hub.failures > 0 && request.headers.range !== 'bytes=0-0') {
      hub.failures--;
      json(503, { error: 'busy' });
    } else serveContent(request, response, name, file);
  }

  function serveContent(request: IncomingMessage, response: ServerResponse, name: string, file: FakeFile): void {
    const body = file.served ?? file.content;
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
    const [from, to] = range ? [Number(range[1]), Math.min(Number(range[2]), body.length - 1)] : [0, body.length - 1];
    const part = body.subarray(from, to + 1);
    const isProbe = range !== null && from === 0 && to === 0;
    if (!isProbe) hub.asked.push(`${name} ${from}-${to}`);
    response.writeHead(range ? 206 : 200, {
      etag: '"x"',
      'content-length': part.length,
      ...(range && { 'content-range': `bytes ${from}-${to}/${body.length}` }),
    });
    const cut = isProbe ? undefined : hub.cuts.shift();
    if (cut === undefined) response.end(part);
    else response.write(part.subarray(0, cut), () => setTimeout(() => response.destroy(), 30));
  }
}

const listed = ([path, { content, large }]: [string, FakeFile]) => {
  const size = content.length;
  const oid = createHash('sha1').update(`blob ${size}\0`).update(content).digest('hex');
  const lfs = { oid: createHash('sha256').update(content).digest('hex'), size, pointerSize: 130 };
  return { type: 'file', path, size, oid, ...(large === true && { lfs }) };
};
