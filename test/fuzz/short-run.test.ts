/** A few seconds of each fuzzer with a fixed seed; `npm run test:fuzz` runs them for as long as one likes. */
import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FuzzInput, FuzzTarget, OpenTarget } from './harness/fuzz-target.js';
import { runCases } from './harness/run-cases.js';
import { scratchFolder } from './harness/scratch-folder.js';
import { growthOf } from './harness/target-result.js';
import { randomOfCase } from './harness/try-case.js';
import { watchCases } from './harness/watch-cases.js';
import { FUZZ_TARGETS } from './targets/registry.js';

const SEED = 20_261;
/** On a loaded machine a target does fewer cases, not a longer run. */
const SECONDS = 5;

const scratches: string[] = [];
const opened = new Map<string, OpenTarget>();
const openTarget = async (target: FuzzTarget): Promise<OpenTarget> => {
  const scratch = scratchFolder(target.name);
  scratches.push(scratch);
  const open = opened.get(target.name) ?? (await target.open(scratch));
  opened.set(target.name, open);
  return open;
};
beforeAll(async () => {
  // The RPC targets share the mesh that the first of them starts, as long as one is open.
  for (const target of FUZZ_TARGETS.filter(isRpc)) await openTarget(target);
});
afterAll(async () => {
  for (const open of opened.values()) await open.close?.();
  for (const scratch of scratches) rmSync(scratch, { recursive: true, force: true });
});
const isRpc = ({ name }: FuzzTarget): boolean => name.startsWith('rpc-');

describe('hostile input gives a result or a registered fault, and no memory is kept', () => {
  it.each(FUZZ_TARGETS.map((target) => [target.name, target] as const))('%s', async (_name, target) => {
    const limits = { seed: SEED, from: 0, to: target.shortCases, seconds: SECONDS };
    const counts = await runCases(await openTarget(target), limits);
    expect(counts.defects).toEqual([]);
    expect(growthOf(counts)).toEqual([]);
    expect(counts.cases).toBeGreaterThan(0);
  });
});

describe('the fuzzer', () => {
  const limits = { seed: 1, from: 0, to: 200, seconds: 60, hangMs: 1_000, maxHeapMb: 256 };
  const find = async (control: string) =>
    (await watchCases(`control-${control}`, { ...limits, to: 60 }, () => {})).findings;

  it('finds nothing where a target only refuses', async () => {
    const { counts, findings } = await watchCases('control-refusal', limits, () => {});
    expect(findings).toEqual([]);
    expect(counts).toMatchObject({ cases: 200, accepted: 195, refused: { REQUEST_INVALID: 5 }, defective: 0 });
  });

  it.each(['error', 'internal'])('counts %s without a code, and names its first case', async (control) => {
    const { counts } = await watchCases(`control-${control}`, limits, () => {});
    expect(counts).toMatchObject({ cases: 200, defective: 5, defects: [{ case: 39 }] });
  });

  it.each(['hang', 'never-settles'])('ends a case of "%s", names it, and goes on behind it', async (control) => {
    const { counts, cases, findings } = await watchCases(`control-${control}`, { ...limits, to: 60 }, () => {});
    expect(findings).toMatchObject([{ kind: 'hang', case: 39 }]);
    expect(counts).toMatchObject({ cases: 20, accepted: 20 });
    expect(cases).toBe(60);
  });

  it('names the case in which a thread ended', async () => {
    expect((await find('exit'))[0]).toMatchObject({ kind: 'crash', case: 39 });
  });

  it('sees memory that grows', async () => {
    const { counts } = await watchCases('control-leak', { ...limits, to: 2000 }, () => {});
    expect(growthOf(counts!)).toMatchObject([{ kind: 'growth' }]);
  });

  it('makes the same input again from seed and number', async () => {
    for (const [name, open] of opened) {
      const [first, second] = [open.make(randomOfCase(5, 77)), open.make(randomOfCase(5, 77))];
      expect(hexOf(first), name).toEqual(hexOf(second));
    }
  });
});

const hexOf = (input: FuzzInput) =>
  Object.entries(input).map(([name, bytes]) => [name, Buffer.from(bytes).toString('hex')]);
