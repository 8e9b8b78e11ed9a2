import { appendFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { openAuditLog } from '../../../shared/security/audit-log.js';
import { verifyAuditLog } from '../../../shared/security/verify-audit-log.js';

const folder = mkdtempSync(join(tmpdir(), 'refusalscope-audit-log-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;

const written = async (count: number): Promise<string> => {
  const path = join(folder, `${files++}.jsonl`);
  const log = await openAuditLog(path);
  await Promise.all(Array.from({ length: count }, (_, i) => log.append({ event: 'began', call: i })));
  await log.close();
  return path;
};
const linesOf = (path: string): string[] => readFileSync(path, 'utf8').trimEnd().split('\n');

describe('the chain of the audit log', () => {
  it('lines written at once stand one after the other, and the whole is sound', async () => {
    const path = await written(50);
    expect(linesOf(path).map((line) => JSON.parse(line).call)).toEqual(Array.from({ length: 50 }, (_, i) => i));
    expect(await verifyAuditLog(path)).toMatchObject({
      sound: true,
      lines: 50,
      head: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
  });

  it('goes on where another process stopped', async () => {
    const path = await written(3);
    const log = await openAuditLog(path);
    await log.append({ event: 'began', call: 3 });
    await log.close();
    expect(await verifyAuditLog(path)).toMatchObject({ sound: true, lines: 4 });
  });

  it('half a line from a kill is cut off, and a line says so', async () => {
    const path = await written(2);
    appendFileSync(path, '{"sequence":3,"ti');
    const log = await openAuditLog(path);
    await log.append({ event: 'began', call: 9 });
    await log.close();
    expect(
      linesOf(path)
        .slice(2)
        .map((line) => JSON.parse(line)),
    ).toMatchObject([
      { sequence: 3, event: 'recovered', tornBytes: 17 },
      { sequence: 4, call: 9 },
    ]);
    expect(await verifyAuditLog(path)).toMatchObject({ sound: true, lines: 4 });
  });

  it('goes on after a line that is longer than the first look at the tail', async () => {
    const path = await written(1);
    const log = await openAuditLog(path);
    await log.append({ promptSha256: Array.from({ length: 40_000 }, () => 'a'.repeat(64)) });
    await log.close();
    const next = await openAuditLog(path);
    await next.append({ call: 1 });
    await next.close();
    expect(await verifyAuditLog(path)).toMatchObject({ sound: true, lines: 3 });
  });

  it.each([
    [
      'a changed line',
      (lines: string[]) => lines.map((line, i) => (i === 1 ? line.replace('"call":1', '"call":7') : line)),
      3,
    ],
    ['a removed line', (lines: string[]) => lines.filter((_, i) => i !== 2), 3],
    ['a removed first line', (lines: string[]) => lines.slice(1), 1],
    ['two lines in the other order', ([a, b, c, ...rest]: string[]) => [a, c, b, ...rest] as string[], 2],
    [
      'an inserted line',
      (lines: string[]) => [...lines.slice(0, 2), '{"sequence":3,"previous":"00"}', ...lines.slice(2)],
      3,
    ],
    ['a line of another kind', (lines: string[]) => [...lines.slice(0, 4), 'hello'], 5],
    ['a line that is JSON and no object', (lines: string[]) => [...lines.slice(0, 4), 'null'], 5],
  ])('%s shows, with its number', async (_what, change, line) => {
    const path = await written(6);
    writeFileSync(path, `${change(linesOf(path)).join('\n')}\n`);
    expect(await verifyAuditLog(path)).toMatchObject({ sound: false, line });
  });

  it('lines missing at the end change the head', async () => {
    const path = await written(5);
    const before = await verifyAuditLog(path);
    writeFileSync(path, `${linesOf(path).slice(0, 4).join('\n')}\n`);
    const after = await verifyAuditLog(path);
    expect(after).toMatchObject({ sound: true, lines: 4 });
    expect(after).not.toMatchObject({ head: (before as { head: string }).head });
  });

  it('a file of another kind is not written to', async () => {
    const path = join(folder, 'notes.txt');
    writeFileSync(path, 'my notes\n');
    await expect(openAuditLog(path)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(/last line of .*notes\.txt is no line of an audit log/),
    });
    expect(readFileSync(path, 'utf8')).toBe('my notes\n');
  });

  it.skipIf(!existsSync('/proc/self/fd'))('no file stays open behind a log that is refused or unsound', async () => {
    const path = join(folder, 'leaks.txt');
    writeFileSync(path, 'my notes\nmore\n');
    const before = readdirSync('/proc/self/fd').length;
    for (let i = 0; i < 50; i++) {
      await expect(openAuditLog(path)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
      await verifyAuditLog(path);
    }
    // What is closed by the stream's own turn of the loop may lag behind by a few.
    await expect.poll(() => readdirSync('/proc/self/fd').length).toBeLessThan(before + 10);
  });
});
