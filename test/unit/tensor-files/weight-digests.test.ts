import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { WeightDigests } from '../../../shared/tensor-files/weight-digests.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'digests-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

it('hashes a file once, and again only when size or time changed', async () => {
  const file = join(folder, 'weights');
  writeFileSync(file, 'abc');
  utimesSync(file, 1000, 1000);
  expect(await new WeightDigests(folder).digest(file)).toBe(sha256('abc'));
  // Same size and time: the stored digest stands, as it does for a file of 2 GB that nobody touched.
  writeFileSync(file, 'xyz');
  utimesSync(file, 1000, 1000);
  expect(await new WeightDigests(folder).digest(file)).toBe(sha256('abc'));
  utimesSync(file, 2000, 2000);
  expect(await new WeightDigests(folder).digest(file)).toBe(sha256('xyz'));
});

it('a damaged store is made again', async () => {
  const file = join(folder, 'weights');
  writeFileSync(file, 'abc');
  writeFileSync(join(folder, 'weight-digests.json'), '{"x": "not a digest", ');
  expect(await new WeightDigests(folder).digest(file)).toBe(sha256('abc'));
  expect(Object.values(JSON.parse(readFileSync(join(folder, 'weight-digests.json'), 'utf8')))).toEqual([sha256('abc')]);
});

it('a missing file is a fault, and the next file is still hashed', async () => {
  const digests = new WeightDigests(folder);
  const file = join(folder, 'weights');
  writeFileSync(file, 'abc');
  const missing = digests.digest(join(folder, 'none'));
  const present = digests.digest(file);
  await expect(missing).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
  expect(await present).toBe(sha256('abc'));
});
