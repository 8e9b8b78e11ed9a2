/** `refusalscope resume`: goes on with an audit from its checkpoint, by default the newest one that has not succeeded. */
import type { Command } from 'commander';
import { AuditState } from '../../../proto/gen/refusalscope/v1/coordinator.js';
import { fault } from '../../../shared/errors/fault.js';
import type { CommandContext } from '../command-context.js';
import { followAudit } from '../follow-audit.js';
import { addJudgeFlags } from '../judge-options.js';
import { addModelFlags, addStateFlag, type MeshFlags, repeatModelFlags } from '../mesh-options.js';
import { connectCoordinator, type OpenCoordinator, startEmbeddedCoordinator } from '../open-coordinator.js';

interface ResumeFlags extends MeshFlags {
  readonly out: string;
  readonly connect?: string;
}

export const addResumeCommand = (program: Command, context: CommandContext): void => {
  const command = program
    .command('resume')
    .description('go on with an audit from its checkpoint; nothing that was finished is run again')
    .argument('[id]', 'the audit (default: the newest that has not succeeded)')
    .option('--out <dir>', 'where report.json and report.html go', 'refusalscope-report')
    .option('--connect <address>', 'use the coordinator at host:port instead of starting services here');
  addJudgeFlags(addStateFlag(addModelFlags(command)))
    .addHelpText(
      'after',
      '\nServe the same model files as before: a checkpoint is not continued with others.\n\n' +
        'Examples:\n  $ npx refusalscope resume\n  $ npx refusalscope resume 20261123-181530-4f1c --out my-report',
    )
    .action((id: string | undefined, flags: ResumeFlags) => context.run(() => resume(id, flags, context)));
};

const resume = async (id: string | undefined, flags: ResumeFlags, context: CommandContext) => {
  const { output } = context;
  const coordinator =
    flags.connect === undefined
      ? await startEmbeddedCoordinator(flags, context)
      : await connectCoordinator(flags.connect, context);
  try {
    const auditId = id ?? (await newestUnfinished(coordinator));
    const afterSequence = await lastSequence(coordinator, auditId);
    await coordinator.client.resumeAudit({ id: auditId });
    output.note(`Audit ${auditId} goes on from its checkpoint.`);
    const where = flags.connect === undefined ? repeatModelFlags(flags) : ` --connect ${flags.connect}`;
    const resumeCommand = `npx refusalscope resume ${auditId}${where}`;
    return await followAudit({ coordinator, auditId, outDir: flags.out, resumeCommand, output, afterSequence });
  } finally {
    await coordinator.close();
  }
};

const newestUnfinished = async ({ client }: OpenCoordinator): Promise<string> => {
  const { audits } = await client.listAudits({});
  const found = audits.find(({ state }) => state !== AuditState.AUDIT_STATE_SUCCEEDED);
  if (found === undefined) throw fault('AUDIT_UNKNOWN', 'There is no audit to resume: all of them have succeeded.');
  return found.id;
};

/** Events up to here were shown by an earlier run. A running audit is shown from its start. */
const lastSequence = async ({ client }: OpenCoordinator, id: string): Promise<number> => {
  const { audit } = await client.getAudit({ id });
  if (audit?.state === AuditState.AUDIT_STATE_RUNNING) return 0;
  let last = 0;
  for await (const { event } of client.watchAudit({ id })) last = event?.sequence ?? last;
  return last;
};
