/** The load generator counts what comes of every call, and its figures are what they say. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { driveClosed, driveOpen, lostOf, quantile } from '../../../bench/load/drive-load.js';
import { trendOf } from '../../../bench/load/watch-memory.js';
import { fault } from '../../../shared/errors/fault.js';
import { createSeededRandom } from '../../../shared/random/seeded-random.js';

describe('calls at a rate', () => {
  it('go on whatever the answers do; refused and failed ones are told apart, and none is lost', async () => {
    let calls = 0;
    const call = async () => {
      const mine = calls++;
      await sleep(20);
      if (mine % 4 === 1) throw fault('BUSY', 'full');
      if (mine % 4 === 2) throw fault('PEER_UNAVAILABLE', 'gone');
      if (mine % 4 === 3) throw new Error('odd');
    };
    const tally = await driveOpen({ call, rate: 400, seconds: 1, random: createSeededRandom(1) });
    // 400 on average; six standard deviations of a Poisson number are 120.
    expect(Math.abs(tally.started - 400)).toBeLessThan(120);
    expect(tally.started).toBe(calls);
    expect(lostOf(tally)).toBe(0);
    expect(Math.abs(tally.accepted.length - tally.refused.length)).toBeLessThanOrEqual(1);
    expect(new Set(tally.failed)).toEqual(new Set(['PEER_UNAVAILABLE', 'Error: odd']));
    expect(Math.min(...tally.accepted)).toBeGreaterThan(15);
  });

  it('a number of callers send one call after the other', async () => {
    let running = 0;
    let most = 0;
    const call = async () => {
      most = Math.max(most, ++running);
      await sleep(5);
      running--;
    };
    const tally = await driveClosed(call, 3, 0.2);
    expect(most).toBe(3);
    expect(tally.accepted.length).toBe(tally.started);
  });
});

describe('figures', () => {
  it('quantiles are members of the sample', () => {
    const values = Array.from({ length: 100 }, (_, i) => 100 - i);
    expect([quantile(values, 0.5), quantile(values, 0.99), quantile([], 0.5)]).toEqual([51, 100, Number.NaN]);
  });

  it('the slope of memory leaves the first third out and is per minute', () => {
    const growing = Array.from({ length: 90 }, (_, i) => ({
      minutes: i / 10,
      mb: i < 30 ? 10 * i : 300 + 2 * (i / 10),
    }));
    const { slope_mb_per_minute, start_mb, end_mb, peak_mb } = trendOf(growing);
    expect(slope_mb_per_minute).toBeCloseTo(2, 6);
    expect([start_mb, end_mb, peak_mb]).toEqual([90, 300 + 17.8, 300 + 17.8]);
  });
});
