/** One fault on a mesh of its own, held against the undisturbed run. */
import { type AuditEvidence, compareReports, runStruck, type StruckRun } from './audit-run.js';
import type { FaultResult } from './fault-result.js';
import { type Coordinator, type ProcessOptions, type ServiceMesh, startServiceMesh } from './service-mesh.js';
import type { Subject } from './subject.js';

export interface Baseline {
  readonly subject: Subject;
  readonly evidence: AuditEvidence;
}

export interface Fault {
  readonly name: string;
  readonly what: string;
  readonly also: string;
  /** Does the harm; gives the ms until the audit had recovered. `coordinators` may grow. */
  strike(mesh: ServiceMesh, coordinators: Coordinator[], auditId: string): Promise<number>;
  readonly everywhere?: ProcessOptions;
}

export const measureBaseline = async (subject: Subject): Promise<Baseline> =>
  inMesh(subject, {}, async (mesh) => {
    const { evidence } = await runStruck(mesh, [await mesh.startCoordinator()], async () => 0);
    return { subject, evidence };
  });

export const tryFault = (baseline: Baseline, fault: Fault): Promise<FaultResult> =>
  inMesh(baseline.subject, fault.everywhere ?? {}, async (mesh) => {
    const coordinators = [await mesh.startCoordinator()];
    const run = await runStruck(mesh, coordinators, (id) => fault.strike(mesh, coordinators, id));
    return resultOf(baseline, fault, run);
  });

export const resultOf = (
  { evidence: undisturbed }: Baseline,
  { name, what, also }: Pick<Fault, 'name' | 'what' | 'also'>,
  { evidence, recoveryMs }: StruckRun,
): FaultResult => {
  const { identical, maxDifference } = compareReports(undisturbed.report, evidence.report);
  return {
    name,
    what,
    report_identical: identical,
    lost: [...undisturbed.keys].filter((key) => !evidence.keys.has(key)).length,
    redone: Math.max(0, evidence.begun - undisturbed.begun),
    recovery_s: recoveryMs / 1000,
    also,
    max_difference: maxDifference,
  };
};

export const inMesh = async <Result>(
  subject: Subject,
  options: ProcessOptions,
  run: (mesh: ServiceMesh) => Promise<Result>,
): Promise<Result> => {
  const mesh = await startServiceMesh(subject, options);
  try {
    return await run(mesh);
  } finally {
    await mesh.close();
  }
};
