import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { measureLoad } from '../../../bench/big-model/measure-load.js';
import { writeRandomModel } from '../../../bench/big-model/write-random-model.js';

/** Its output matrix alone is 525 MB as float32: a second copy of it anywhere would show. */
const SHAPE = { layers: 2, width: 1024, mlpWidth: 8192, heads: 16, keyHeads: 4, vocabulary: 128_256 };
const EXTRA_MB = 200;

let folder: string;
let storedMb: number;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'random-model-'));
  storedMb = writeRandomModel(folder, SHAPE) / 1e6;
});
afterAll(() => rmSync(folder, { recursive: true }));

describe.runIf(process.platform === 'linux')('a model that is large beside the bound on extra memory', () => {
  it('mapped as stored: holds almost nothing of its own', async () => {
    const { extraWhileLoadingMb, afterLoadMb } = await measureLoad(folder, 'mapped-stored', '1', []);
    expect(afterLoadMb).toBeLessThan(100);
    expect(extraWhileLoadingMb).toBeLessThan(EXTRA_MB);
  }, 60_000);

  it.each(['mapped', 'spooled'])(
    '%s: holds the weights as float32 once, and little more on the way',
    async (mode) => {
      const { extraWhileLoadingMb, afterLoadMb } = await measureLoad(folder, mode, '1', []);
      expect(extraWhileLoadingMb).toBeLessThan(EXTRA_MB);
      expect(afterLoadMb).toBeGreaterThan(1.9 * storedMb);
      expect(afterLoadMb).toBeLessThan(2 * storedMb + EXTRA_MB);
    },
    60_000,
  );
});
