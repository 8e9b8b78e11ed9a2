/**
 * A full disk under the checkpoints, on a small file system of its own: the audit must fail with a clear text, keep what it had, and go on
 * to the same report once there is room. The only fault whose coordinator stores on disk.
 */
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AuditState } from '../../proto/gen/refusalscope/v1/coordinator.js';
import { FileAuditStore } from '../../services/coordinator/store/file-audit-store.js';
import { gather, STRIKE_STAGE, unlessItFails, untilAudit } from './audit-run.js';
import type { FaultResult } from './fault-result.js';
import { type Coordinator, type ServiceMesh, untilAnyComputed } from './service-mesh.js';
import { type Baseline, inMesh, resultOf } from './try-fault.js';

const TOLD = {
  name: 'full-disk',
  what: "the disk of a coordinator's checkpoints is full in the middle of a stage; room is made, the audit is resumed",
  also: 'the audit failed with STORAGE_FULL; recovery is from the resume to the next batch',
};

export const fullDisk = async (baseline: Baseline): Promise<FaultResult> => {
  const folder = await mkdtemp(join(tmpdir(), 'refusalscope-disk-'));
  try {
    const refused = mountSmall(folder);
    if (refused !== undefined) {
      const nothing = { report_identical: true, lost: 0, redone: 0, recovery_s: 0 };
      return { ...TOLD, ...nothing, skipped: `no small file system could be mounted (${refused})` };
    }
    try {
      return await inMesh(baseline.subject, {}, (mesh) => fillAndFree(baseline, mesh, folder));
    } finally {
      execFileSync('umount', ['--lazy', folder]);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};

/** Gives the reason if it cannot be done, such as that this is not root. */
const mountSmall = (folder: string): string | undefined => {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'refusalscope-faults', folder], { stdio: 'pipe' });
    return undefined;
  } catch (thrown) {
    return (
      String(thrown instanceof Error ? thrown.message : thrown)
        .split('\n')
        .at(1) ?? 'mount failed'
    );
  }
};

const fillAndFree = async (baseline: Baseline, mesh: ServiceMesh, folder: string): Promise<FaultResult> => {
  const startedAt = performance.now();
  const coordinator = await mesh.startCoordinator({ stateDir: folder });
  const { client } = coordinator;
  const id = (await client.createAudit({ spec: mesh.subject.spec, requestId: '' })).audit!.id;
  const all: Coordinator[] = [coordinator];
  await untilAudit(all, id, ({ stage }) => stage === STRIKE_STAGE);
  const filler = join(folder, 'filler');
  await fill(folder, filler);
  const failed = await untilAudit(all, id, ({ state }) => state !== AuditState.AUDIT_STATE_RUNNING);
  if (!failed.error.startsWith('STORAGE_FULL: '))
    throw new Error(`the audit did not fail as it should: ${failed.error}`);
  await rm(filler);
  const from = performance.now();
  await client.resumeAudit({ id });
  const recoveryMs =
    (await unlessItFails(
      all,
      id,
      untilAnyComputed(() => mesh.workers, from),
    )) - from;
  const ended = await untilAudit(all, id, ({ state }) => state !== AuditState.AUDIT_STATE_RUNNING);
  if (ended.state !== AuditState.AUDIT_STATE_SUCCEEDED) throw new Error(`the audit ended otherwise: ${ended.error}`);
  const store = new FileAuditStore(join(folder, 'audits'));
  const evidence = await gather(store, id, mesh, (performance.now() - startedAt) / 1000);
  return resultOf(baseline, TOLD, { evidence, recoveryMs });
};

const fill = async (folder: string, filler: string): Promise<void> => {
  for (;;) {
    const { bavail, bsize } = await statfs(folder);
    if (bavail === 0) return;
    await writeFile(filler, Buffer.alloc(bavail * bsize), { flag: 'a' }).catch(() => undefined);
  }
};
