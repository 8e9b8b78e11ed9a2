import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { assertSearchable } from '../../../bench/truth/assert-searchable.js';
import { type Mechanism, parseMechanism } from '../../../bench/truth/mechanism.js';
import { printAgainstModel } from '../../../bench/truth/print-table.js';
import { openRunFile } from '../../../bench/truth/run-file.js';
import type { SeedRun } from '../../../bench/truth/run-seed.js';
import type { Score } from '../../../bench/truth/score-recovery.js';
import { summarizeRuns } from '../../../bench/truth/summarize-runs.js';
import { targetLines, toTruthResult } from '../../../bench/truth/truth-result.js';
import { isFault } from '../../../shared/errors/fault.js';

const describeMechanism = (change: object = {}): Mechanism =>
  parseMechanism(
    {
      name: 'one',
      about: 'One feature refuses.',
      layers: 4,
      categories: ['harm'],
      features: [{ name: 'f', layer: 1, when: { atLeast: 1, of: ['harm:harm'] } }],
      refusal: [{ atLeast: 1, of: ['f'], weight: 12 }],
      ...change,
    },
    'a test',
  );

const all = { hits: 2, found: 2, real: 2 };
const perfect: Score = {
  nearest: all,
  causal: { right: 1, asked: 1 },
  oneSet: { right: 2, asked: 2 },
  minimalSets: all,
  sustainingSets: all,
  depth: { right: 2, asked: 2 },
  interactions: { hits: 0, found: 0, real: 0 },
  quietPairs: { right: 20, asked: 20 },
  interactionError: 0.01,
  dormant: { hits: 0, found: 0, real: 0 },
  fromStrongest: { hits: 0, found: 0, real: 0 },
  wakers: { right: 0, asked: 0 },
  sufficiency: { right: 6, asked: 6 },
  nullHydras: { right: 0, asked: 1 },
};
const runOf = (seed: number, change: Partial<Score> = {}): SeedRun => ({
  seed,
  score: { ...perfect, ...change },
  agreement: 1,
  evaluations: 100,
  seconds: 2,
});

describe('the truth table as data', () => {
  it('gives precision and recall of each part over all seeds, and null where there is nothing', () => {
    const runs = [runOf(1), runOf(2, { minimalSets: { hits: 1, found: 2, real: 3 } })];
    const { mechanisms } = toTruthResult([summarizeRuns(describeMechanism(), runs)], 2);
    expect(mechanisms[0]).toMatchObject({ mechanism: 'one', snr: null, seeds: 2, imperfect: [2] });
    expect(mechanisms[0]!.precisionRecall.minimalSets).toEqual({
      precision: 3 / 4,
      recall: 3 / 5,
      hits: 3,
      found: 4,
      real: 5,
    });
    expect(mechanisms[0]!.precisionRecall.dormant).toMatchObject({ precision: null, recall: null });
    expect(mechanisms[0]!.shares.wakers).toEqual({ share: null, right: 0, asked: 0 });
    expect(mechanisms[0]!.nullHydras).toEqual({ reported: 0, runs: 2 });
  });

  it('holds clean mechanisms to 1, noisy ones to 0.95 and null hydras to none, and names what is lowest', () => {
    const clean = summarizeRuns(describeMechanism(), [runOf(1, { sufficiency: { right: 99, asked: 100 } })]);
    const noisy = summarizeRuns(describeMechanism({ snr: 8 }), [runOf(1, { sufficiency: { right: 96, asked: 100 } })]);
    const { targets } = toTruthResult([clean, noisy], 1);
    expect(targets.clean).toMatchObject({ met: false, lowest: { value: 0.99, mechanism: 'one', part: 'sufficiency' } });
    expect(targets.noise).toMatchObject({ met: true, lowest: { value: 0.96 } });
    expect(targets.nullHydras).toEqual({ reported: 0, runs: 2, met: true });
    const found = summarizeRuns(describeMechanism(), [runOf(1, { nullHydras: { right: 1, asked: 1 } })]);
    const lines = targetLines(toTruthResult([found], 1));
    expect(lines[0]).toMatch(/Without noise: .* at least 1: met/);
    expect(lines[1]).toMatch(/1 of 1 reported a dormant feature: missed/);
  });
});

describe('noisy mechanisms against the model itself', () => {
  const againstModel = {
    departing: { right: 1, asked: 2 },
    oneSet: { right: 2, asked: 2 },
    minimalSets: { hits: 19, found: 20, real: 20 },
    sustainingSets: all,
    depth: { right: 2, asked: 2 },
    interactions: { hits: 0, found: 0, real: 0 },
    quietPairs: { right: 40, asked: 40 },
    interactionError: 0.02,
  };

  it('are not held to a precision of pairs where there are none, but to the pairs that stay quiet', () => {
    const falsePair = { interactions: { hits: 0, found: 1, real: 0 }, quietPairs: { right: 19, asked: 20 } };
    const { targets } = toTruthResult([summarizeRuns(describeMechanism({}), [runOf(1, falsePair)])], 1);
    expect(targets.clean?.lowest).toMatchObject({ value: 0.95, part: 'quietPairs' });
    expect(targets.clean?.met).toBe(false);
  });

  it('have a target and a table of their own', () => {
    const bad = { minimalSets: { hits: 9, found: 10, real: 10 } };
    const noisy = summarizeRuns(describeMechanism({ snr: 8 }), [{ ...runOf(1, bad), againstModel }]);
    const result = toTruthResult([noisy], 1);
    expect(result.targets.noise).toMatchObject({ met: false, lowest: { value: 0.9 } });
    expect(result.targets.noiseAgainstModel).toMatchObject({ met: true, lowest: { value: 0.95 } });
    expect(result.mechanisms[0]!.againstModel).toMatchObject({
      prompts: 2,
      departing: 1,
      shares: { oneSet: { share: 1 } },
    });
    expect(printAgainstModel([noisy])).toMatch(/one +\| 8 +\| 1 +\| 2 +\| 1 +\| 1\.00 +\| 0\.95\/0\.95/);
  });

  it('have neither where nothing was measured', () => {
    const clean = summarizeRuns(describeMechanism(), [runOf(1)]);
    expect(printAgainstModel([clean])).toBeUndefined();
    expect(toTruthResult([clean], 1).targets).not.toHaveProperty('noiseAgainstModel');
  });
});

describe('the file of runs', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'refusalscope-runs-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('gives back what was run, of that mechanism, noise and seed alone', () => {
    const path = join(folder, 'runs');
    const mechanism = describeMechanism();
    openRunFile(path).add({ mechanism, seed: 1 }, runOf(1));
    const again = openRunFile(path);
    expect(again.get({ mechanism, seed: 1 })).toEqual(runOf(1));
    expect(again.get({ mechanism, seed: 2 })).toBeUndefined();
    expect(again.get({ mechanism: { ...mechanism, snr: 8 }, seed: 1 })).toBeUndefined();
    expect(again.get({ mechanism: describeMechanism({ margin: 5 }), seed: 1 })).toBeUndefined();
  });

  it('forgets a line that was cut off, and goes on behind the whole ones', () => {
    const path = join(folder, 'cut');
    const mechanism = describeMechanism();
    openRunFile(path).add({ mechanism, seed: 1 }, runOf(1));
    appendFileSync(path, '{"key":"one clean 2');
    openRunFile(path).add({ mechanism, seed: 3 }, runOf(3));
    expect(readFileSync(path, 'utf8').split('\n')).toHaveLength(3);
    expect(openRunFile(path).get({ mechanism, seed: 3 })).toEqual(runOf(3));
  });

  it('refuses a file of something else', () => {
    const path = join(folder, 'other');
    writeFileSync(path, 'not a run\n');
    expect(() => openRunFile(path)).toThrow(/line 1 is no run/);
  });
});

describe('a mechanism with nothing to search', () => {
  const problemOf = (change: object): string => {
    try {
      assertSearchable(describeMechanism(change), 'mine.json');
      return '';
    } catch (thrown) {
      if (!isFault(thrown, 'CONFIG_INVALID')) throw thrown;
      return thrown.message;
    }
  };

  it.each([
    ['too weak to refuse', { refusal: [{ atLeast: 1, of: ['f'], weight: 2 }] }, /harm is not refused: .* -4/],
    [
      'no features in the refusal',
      { refusal: [{ atLeast: 0, of: [], weight: 12 }] },
      /harmless prompts are refused: .* 6/,
    ],
    [
      'refused whatever is off',
      { refusal: [{ atLeast: 1, of: ['harm:harm'], weight: 12 }] },
      /harm is refused whichever features are off/,
    ],
  ])('is refused before anything is planted: %s', (_, change, text) => {
    expect(problemOf(change)).toMatch(text);
  });

  it('is not one of those that can be searched', () => {
    expect(problemOf({})).toBe('');
  });
});
