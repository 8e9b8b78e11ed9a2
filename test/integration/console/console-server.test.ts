import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type RunningConsole, startConsole } from '../../../services/console/start-console.js';
import type { Report } from '../../../services/coordinator/report/report-type.js';
import { sampleReport } from '../../unit/console/sample-report.js';
import { ask, sendBytes } from './raw-http.js';
import { ScriptedAudits } from './scripted-audits.js';

let audits: ScriptedAudits;
let running: RunningConsole;
const defects: unknown[] = [];

beforeEach(async () => {
  audits = new ScriptedAudits();
  defects.length = 0;
  running = await startConsole({ audits, onDefect: (cause) => defects.push(cause) });
});
afterEach(() => running.stop());

interface SentEvent {
  readonly id: string;
  readonly event: string;
  readonly data: { readonly kind: string; readonly sequence: number };
}

/** Reads server-sent events until `enough`; independent of the code under test: the format of the HTML standard. */
async function readEvents(
  path: string,
  enough: (events: SentEvent[]) => boolean,
  lastId?: string,
): Promise<SentEvent[]> {
  const headers: Record<string, string> = lastId === undefined ? {} : { 'Last-Event-ID': lastId };
  const answer = await fetch(new URL(path, running.address), { headers });
  expect(answer.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
  const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = '';
  let events: SentEvent[] = [];
  while (!enough(events)) {
    const { value, done } = await reader.read();
    if (done) break;
    text += value;
    events = text
      .split('\n\n')
      .slice(0, -1)
      .filter((block) => block.includes('event:'))
      .map(parseEvent);
  }
  await reader.cancel();
  return events;
}

function parseEvent(block: string): SentEvent {
  const field = (name: string): string => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1] ?? '';
  return { id: field('id'), event: field('event'), data: JSON.parse(field('data')) };
}

describe('console pages', () => {
  it('lists audits newest first, with titles as text', async () => {
    audits.add('a-1', { title: '<script>alert(1)</script>', state: 'succeeded' });
    audits.add('a-2');
    const { status, body } = await ask(running.address, '/');
    expect(status).toBe(200);
    expect(body.indexOf('a-2')).toBeLessThan(body.indexOf('a-1'));
    expect(body).toContain('&lt;script&gt;alert(1)');
    expect(body).toContain('href="/audits/a-1/report"');
    expect(body).not.toContain('href="/audits/a-2/report"');
  });

  it('pages through a long list without gaps or repeats', async () => {
    for (let index = 0; index < 120; index++) audits.add(`a-${index}`);
    const seen: string[] = [];
    for (let path: string | undefined = '/'; path !== undefined; ) {
      const { body }: { body: string } = await ask(running.address, path);
      seen.push(...[...body.matchAll(/<th scope="row"><a href="\/audits\/([^"]+)"/g)].map(([, id]) => id!));
      path = /href="(\/\?page=[^"]+)"/.exec(body)?.[1];
    }
    expect(seen).toEqual(Array.from({ length: 120 }, (_, index) => `a-${119 - index}`));
    const stale = await ask(running.address, '/?page=gone');
    expect(stale.status).toBe(400);
    expect(stale.body).toContain('REQUEST_INVALID');
  });

  it('shows the report as a page and as the JSON it was made from', async () => {
    audits.add('a-1');
    audits.finish('a-1', sampleReport());
    const page = await ask(running.address, '/audits/a-1/report');
    expect(page.body).toContain('switches refusal off in 16 of 18');
    expect(page.headers['content-security-policy']).toMatch(/^default-src 'none'; style-src 'sha256-/);
    const json = await ask(running.address, '/audits/a-1/report.json');
    expect(JSON.parse(json.body)).toEqual(sampleReport());
    expect(json.headers['content-type']).toBe('application/json; charset=utf-8');
  });

  it('explains in words and by code what cannot be shown', async () => {
    audits.add('a-1');
    const early = await ask(running.address, '/audits/a-1/report');
    expect(early.status).toBe(409);
    expect(early.body).toContain('Audit a-1 is running and has no report');
    const unknown = await ask(running.address, '/audits/nobody');
    expect(unknown.status).toBe(404);
    expect(unknown.body).toContain('AUDIT_UNKNOWN');
    expect((await ask(running.address, '/audits/nobody/events')).status).toBe(404);
    expect((await ask(running.address, '/etc/passwd')).status).toBe(404);
    expect((await ask(running.address, '/audits/..%2f..%2fx')).status).toBe(404);
    expect(defects).toEqual([]);
  });

  it('keeps the cause of a defect out of the page', async () => {
    audits.add('a-1');
    audits.defect = new Error('secret path /home/x');
    const { status, body } = await ask(running.address, '/audits/a-1');
    expect(status).toBe(500);
    expect(body).not.toContain('secret');
    expect(body).toMatch(/request id [0-9a-f-]{36}/);
    expect(defects).toEqual([new Error('secret path /home/x')]);
  });

  it('says so when a report was made by another version', async () => {
    audits.add('a-1');
    audits.finish('a-1', { ...sampleReport(), schema: 'refusalscope.report/0' } as unknown as Report);
    const { status, body } = await ask(running.address, '/audits/a-1/report');
    expect(status).toBe(400);
    expect(body).toContain('schema &quot;refusalscope.report/0&quot;');
  });
});

describe('events of a running audit', () => {
  const started = { kind: 'stage-started', stage: 'filter', number: 5, stages: 9 } as const;
  const warned = { kind: 'warning', code: 'W', text: 'line\n\nevent: forged\ndata: {}' } as const;

  it('come as they happen, one block each, until the audit ends', async () => {
    audits.add('a-1');
    audits.emit('a-1', started);
    const reading = readEvents('/audits/a-1/events', (events) => events.some(({ event }) => event === 'end-of-events'));
    setTimeout(() => audits.emit('a-1', warned), 40);
    setTimeout(() => audits.finish('a-1', sampleReport()), 80);
    const events = await reading;
    expect(events.map(({ id, event }) => [id, event])).toEqual([
      ['1', 'stage-started'],
      ['2', 'warning'],
      ['3', 'ended'],
      ['', 'end-of-events'],
    ]);
    expect(events[1]!.data).toMatchObject(warned);
  });

  it('go on after the last one that the browser saw', async () => {
    audits.add('a-1');
    for (let index = 0; index < 5; index++) audits.emit('a-1', started);
    const ids = (events: SentEvent[]): string[] => events.map(({ id }) => id);
    expect(ids(await readEvents('/audits/a-1/events', (events) => events.length === 2, '3'))).toEqual(['4', '5']);
    expect(ids(await readEvents('/audits/a-1/events', (events) => events.length === 5, 'x'))).toEqual([
      '1',
      '2',
      '3',
      '4',
      '5',
    ]);
  });

  it('do not keep the console from stopping', async () => {
    audits.add('a-1');
    audits.emit('a-1', started);
    const answer = await fetch(new URL('/audits/a-1/events', running.address));
    const reader = answer.body!.getReader();
    await reader.read();
    const before = performance.now();
    await running.stop();
    expect(performance.now() - before).toBeLessThan(1500);
    while (!(await reader.read()).done);
  });
});

describe('what the console turns away', () => {
  it('every method but GET and HEAD', async () => {
    audits.add('a-1');
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
      const { status, headers } = await ask(running.address, '/audits/a-1', { method });
      expect([method, status, headers.allow]).toEqual([method, 405, 'GET, HEAD']);
    }
    const head = await ask(running.address, '/', { method: 'HEAD' });
    expect([head.status, head.body]).toEqual([200, '']);
  });

  it('a foreign host name, so that no other site can read it through a browser', async () => {
    const { port } = new URL(running.address);
    for (const [host, status] of [
      ['evil.example', 421],
      [`evil.example:${port}`, 421],
      [`localhost:${port}`, 200],
      [`LOCALHOST:${port}`, 200],
      [`127.0.0.1:${port}`, 200],
    ] as const)
      expect([host, (await ask(running.address, '/', { headers: { host } })).status]).toEqual([host, status]);
  });

  it('bodies, long addresses, large headers and broken requests', async () => {
    expect((await ask(running.address, '/', { body: 'x', headers: { 'content-length': '1' } })).status).toBe(413);
    const long = await ask(running.address, `/${'a'.repeat(1100)}`);
    expect([long.status, long.body.includes('The address has 1101 characters: at most 1024 are read.')]).toEqual([
      400,
      true,
    ]);
    expect((await ask(running.address, '/', { headers: { 'x-long': 'a'.repeat(20_000) } })).status).toBe(431);
    expect(await sendBytes(running.address, 'GET / HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1\.1 421/);
    expect(await sendBytes(running.address, 'GARBAGE\r\n\r\n')).toBe('HTTP/1.1 400 Bad Request');
    expect(defects).toEqual([]);
  });

  it('frames, sniffing, caching and foreign content, by headers on every answer', async () => {
    audits.add('a-1');
    for (const path of ['/', '/audits/a-1', '/console.css', '/console.js', '/nothing']) {
      const { headers } = await ask(running.address, path);
      expect(headers['x-content-type-options']).toBe('nosniff');
      expect(headers['cache-control']).toBe('no-store');
      expect(headers['content-security-policy']).toContain("default-src 'none'");
      expect(headers['content-security-policy']).toContain("frame-ancestors 'none'");
      expect(headers['x-frame-options']).toBe('DENY');
    }
  });
});

describe('where the console listens', () => {
  it('is loopback unless told otherwise', () => {
    expect(running.address).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/$/);
  });

  it('needs host names to listen on every interface', async () => {
    await expect(startConsole({ audits, listen: '0.0.0.0:0' })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('without the host names to answer to'),
    });
    const open = await startConsole({ audits, listen: '0.0.0.0:0', hosts: ['audits.example'] });
    const address = open.address.replace('0.0.0.0', '127.0.0.1');
    expect((await ask(address, '/', { headers: { host: 'audits.example' } })).status).toBe(200);
    expect((await ask(address, '/', { headers: { host: 'evil.example' } })).status).toBe(421);
    await open.stop();
  });

  it('must be an address of this machine with a free port', async () => {
    const { port } = new URL(running.address);
    await expect(startConsole({ audits, listen: `127.0.0.1:${port}` })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('(EADDRINUSE)'),
    });
    for (const listen of ['8080', '127.0.0.1:99999', 'http://x:1', '127.0.0.1:'])
      await expect(startConsole({ audits, listen })).rejects.toMatchObject({
        code: 'CONFIG_INVALID',
        message: expect.stringContaining(`"${listen}"`),
      });
  });
});
