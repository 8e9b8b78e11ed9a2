import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chooseEmbeddedPairs } from '../../services/cli/prompt-file.js';
import { reportSchema } from '../../services/coordinator/report/report-schema.js';
import type { Report } from '../../services/coordinator/report/report-type.js';
import { readEvaluationLog } from '../../services/coordinator/store/evaluation-log.js';
import { projectRoot } from '../../shared/project/root.js';

// The real model, five services over gRPC, the real command line: minutes, not seconds, on two cores.
const LIMIT_MS = 20 * 60_000;
const PAIRS = 3;

let folder: string;
let auditId: string;
let report: Report;
const children: ChildProcess[] = [];

const cli = (...args: string[]) => {
  const child = spawn(process.execPath, [join(projectRoot, 'dist/services/cli/main.js'), ...args], {
    cwd: folder,
    env: { ...process.env, REFUSALSCOPE_STATE_DIR: join(folder, 'state') },
  });
  children.push(child);
  const said = { out: '', err: '' };
  child.stdout.on('data', (data) => {
    said.out += data;
  });
  child.stderr.on('data', (data) => {
    said.err += data;
  });
  const ended = once(child, 'close').then(([code]) => ({ code: code as number, ...said }));
  return { child, said, ended };
};
const auditFolder = (state = 'state') => join(folder, state, 'audits', auditId);
const storedCount = async () => (await readEvaluationLog(join(auditFolder(), 'evaluations.binlog'))).length;
const readReport = async (name: string) =>
  JSON.parse(await readFile(join(folder, name, 'report.json'), 'utf8')) as Report;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'refusalscope-e2e-'));
  const prompts = await chooseEmbeddedPairs(PAIRS);
  await writeFile(join(folder, 'prompts.jsonl'), prompts.map((prompt) => `${JSON.stringify(prompt)}\n`).join(''));

  const audit = cli(
    ...['audit', '--prompts', 'prompts.jsonl', '--out', 'first', '--growth', '10,50,200'],
    ...['--masks', '60', '--features', '6', '--draws', '2', '--answer-tokens', '16'],
    ...['--claim-prompts', '2', '--family-evaluations', '40', '--sufficiency-draws', '1'],
    ...['--hydra-prompts', '2', '--hydra-features', '4'],
    ...['--harmless-prompts', '2', '--cost-sets', '2'],
  );
  // The moment at which a person presses Ctrl-C: the filter is at work and has not finished.
  const stage = async () => {
    const [id] = await readdir(join(folder, 'state', 'audits')).catch(() => []);
    if (id === undefined) return '';
    auditId = id;
    const state = await readFile(join(auditFolder(), 'state.json'), 'utf8').catch(() => '{"stage": ""}');
    return JSON.parse(state).stage as string;
  };
  while ((await stage()) !== 'filter' && audit.child.exitCode === null)
    await new Promise((resolve) => setTimeout(resolve, 100));
  const before = await storedCount();
  while ((await storedCount()) === before && (await stage()) === 'filter')
    await new Promise((resolve) => setTimeout(resolve, 20));
  audit.child.kill('SIGINT');
  interrupted = await audit.ended;
  storedAtInterrupt = await storedCount();
  const resume = cli('resume', '--out', 'resumed');
  resumed = await resume.ended;
  report = await readReport('resumed');
}, LIMIT_MS);
afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  await rm(folder, { recursive: true, force: true });
});

let interrupted: { code: number; out: string; err: string };
let resumed: typeof interrupted;
let storedAtInterrupt: number;

describe('an audit on the real mesh', () => {
  it('Ctrl-C ends with 130, a checkpoint, and the command that goes on', async () => {
    expect(interrupted.code).toBe(130);
    expect(interrupted.err).toContain(`To go on: npx refusalscope resume ${auditId}`);
    expect(storedAtInterrupt).toBeGreaterThan(50);
  });

  it('resume ends with 0, a summary, and both reports', async () => {
    expect(resumed).toMatchObject({ code: 0 });
    expect(resumed.out).toContain('Minimal sets');
    expect(resumed.out.trim().split('\n').slice(-2)).toEqual([
      join(folder, 'resumed', 'report.json'),
      join(folder, 'resumed', 'report.html'),
    ]);
    expect(await readFile(join(folder, 'resumed', 'report.html'), 'utf8')).toMatch(/^<!doctype html>/i);
    expect(resumed.err).not.toContain('[4/16]');
    expect(report.run.resumed).toBe(1);
  });

  it('the report follows its schema and names the files that its numbers come from', () => {
    expect(reportSchema.safeParse(report).error?.issues).toBeUndefined();
    expect(report.provenance.weightsSha256).toBe('b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53');
    expect(Object.keys(report.provenance.saeSha256)).toEqual(['5', '9', '13', '17', '21', '25']);
    expect(report.settings.layers).toEqual([5, 9, 13, 17, 21]);
    expect(report.notes[0]).toContain('model organism');
  });

  it('every minimal set flips its prompt, and every member is needed', () => {
    const found = report.minimalSets.filter((set) => set.outcome === 'found');
    expect(found.length).toBeGreaterThan(0);
    for (const set of found) {
      expect(set.cleanScore).toBeGreaterThan(0);
      expect(set.setScore).toBeLessThan(0);
      expect(set.proof.length).toBeGreaterThan(0);
      expect(set.members.filter((member) => member.restoredScore <= 0)).toEqual([]);
    }
  });

  it('the sets flip more often than the controls, and every rate has its denominator', () => {
    const { minimalSets, randomFeatures, randomDirections } = report.controls;
    const share = (arm: typeof randomFeatures) => (arm === null ? Number.NaN : arm.flips.count / arm.flips.of);
    expect(share(minimalSets)).toBe(1);
    expect(share(randomFeatures)).toBeLessThan(0.5);
    expect(share(randomDirections)).toBeLessThan(1);
    expect(report.verification.total).toBe(minimalSets.flips.of);
  });

  it('further minimal sets flip too, within the budget, and what was cut off is said', () => {
    const { families, sufficiency, costs } = report;
    expect(families?.examined).toEqual({ count: 2, of: report.summary.minimalSetsFound.count });
    for (const { sets, complete, evaluations, depthOfDefence } of families?.prompts ?? []) {
      expect(sets.length).toBeGreaterThan(0);
      expect(sets.filter(({ score }) => score >= 0)).toEqual([]);
      expect(depthOfDefence).toBeGreaterThan(0);
      // The question that is being asked when the budget ends is answered.
      if (!complete) expect(evaluations).toBeGreaterThanOrEqual(40);
    }
    expect(sufficiency?.random.leftOn.of).toBe(2);
    for (const { meanKl, largestKl } of costs?.rows ?? []) expect(largestKl).toBeGreaterThanOrEqual(meanKl);
    expect(costs?.rows.at(-1)?.off).toBe('all candidates');
  });

  it(
    'computed again from the filter on, in another process, the report is the same to rounding',
    async () => {
      await cp(join(folder, 'state'), join(folder, 'again'), { recursive: true });
      const results = join(auditFolder('again'), 'results');
      for (const name of await readdir(results)) {
        if (/^(filter|verify|dormant|interactions|controls|alternatives|family|hydra|sufficiency|cost)/.test(name))
          await rm(join(results, name), { recursive: true });
      }
      await rm(join(auditFolder('again'), 'evaluations.binlog'));
      const state = JSON.parse(await readFile(join(auditFolder('again'), 'state.json'), 'utf8'));
      await writeFile(join(auditFolder('again'), 'state.json'), JSON.stringify({ ...state, state: 'interrupted' }));
      const { code } = await cli('resume', auditId, '--state-dir', join(folder, 'again'), '--out', 'again-report')
        .ended;
      expect(code).toBe(0);
      const again = await readReport('again-report');
      expect(differences({ ...report, run: null }, { ...again, run: null })).toEqual([]);
    },
    LIMIT_MS,
  );

  it('report and list find the audit without any service', async () => {
    const listed = await cli('list', '--json').ended;
    expect(JSON.parse(listed.out)).toMatchObject({ id: auditId, state: 'succeeded' });
    const shown = await cli('report', '--format', 'json').ended;
    expect(JSON.parse(shown.out)).toEqual(report);
  });

  it(
    'resuming it once more is refused with the reason',
    async () => {
      const { code, err } = await cli('resume', auditId).ended;
      expect(code).toBe(2);
      expect(err).toContain(`AUDIT_STATE: Audit ${auditId} has succeeded: there is nothing to resume.`);
    },
    LIMIT_MS,
  );
});

// Twice what was seen between batches of different size.
const ROUNDING = 5e-5;

/** Paths at which two values differ by more than float32 sums in other batches explain. */
const differences = (a: unknown, b: unknown, path = ''): string[] => {
  if (typeof a === 'number' && typeof b === 'number') {
    return Math.abs(a - b) <= ROUNDING * Math.max(1, Math.abs(a)) ? [] : [`${path}: ${a} ${b}`];
  }
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null)
    return a === b ? [] : [`${path}: ${a} ${b}`];
  const [left, right] = [a as Record<string, unknown>, b as Record<string, unknown>];
  return [...new Set([...Object.keys(left), ...Object.keys(right)])].flatMap((key) =>
    differences(left[key], right[key], `${path}/${key}`),
  );
};
