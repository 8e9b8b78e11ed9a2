import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { killMidBatch, poisonQueue } from '../../faults/audit-faults.js';
import { compareReports } from '../../faults/audit-run.js';
import type { FaultResult } from '../../faults/fault-result.js';
import { plantedSubject, type Subject } from '../../faults/subject.js';
import { type Baseline, measureBaseline, tryFault } from '../../faults/try-fault.js';

/** The short form of `npm run test:faults`: three faults in one run, on processes that are started from the files that ship. */
let subject: Subject;
let baseline: Baseline;
let result: FaultResult;

beforeAll(async () => {
  subject = plantedSubject(4);
  baseline = await measureBaseline(subject);
  result = await tryFault(baseline, {
    name: 'short',
    what: 'a poisoned queue, a worker killed in the middle of a batch, then the coordinator killed',
    also: '',
    strike: async (mesh, coordinators) => {
      await poisonQueue(mesh);
      const recoveryMs = await killMidBatch(mesh);
      const second = await mesh.startCoordinator();
      coordinators.push(second);
      await coordinators[0]!.process.kill('SIGKILL');
      await second.process.until(({ msg }) => msg === 'audit taken over');
      return recoveryMs;
    },
  });
});
afterAll(() => subject.close());

describe('an audit whose worker and coordinator are killed while others poison the queue', () => {
  it('ends with the report of an undisturbed run', () => {
    expect(result.report_identical).toBe(true);
  });

  it('loses no evaluation, and redoes a few at most', () => {
    expect(baseline.evidence.keys.size).toBeGreaterThan(50);
    expect(result.lost).toBe(0);
    expect(result.redone).toBeGreaterThan(0);
    expect(result.redone).toBeLessThan(baseline.evidence.begun / 2);
  });

  it('a report that differs in one number would have been seen', () => {
    const { report } = baseline.evidence;
    const [first, ...others] = report.minimalSets;
    const changed = { ...report, minimalSets: [{ ...first!, cleanScore: first!.cleanScore + 0.001 }, ...others] };
    expect(compareReports(report, report).identical).toBe(true);
    expect(compareReports(report, changed).identical).toBe(false);
  });
});
