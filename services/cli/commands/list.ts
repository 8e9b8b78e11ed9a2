/** `refusalscope list`: the audits in the state folder. */
import type { Command } from 'commander';
import type { AuditRecord } from '../../coordinator/audit/audit-record.js';
import type { CommandContext } from '../command-context.js';
import { addStateFlag } from '../mesh-options.js';
import { openStore } from '../open-store.js';

export const addListCommand = (program: Command, context: CommandContext): void => {
  const command = program
    .command('list')
    .description('list audits, newest first')
    .option('--json', 'one JSON object a line');
  addStateFlag(command)
    .addHelpText('after', '\nExamples:\n  $ npx refusalscope list\n  $ npx refusalscope list --json')
    .action((flags: { stateDir: string; json?: boolean }) => context.run(() => list(flags, context)));
};

const list = async (flags: { stateDir: string; json?: boolean }, { output }: CommandContext) => {
  const store = openStore(flags.stateDir);
  const records = await store.list();
  for (const record of records) {
    // A state of "running" without a living process is what a kill leaves behind.
    const isDead = record.state === 'running' && !(await store.isLeased(record.id));
    const shown = isDead ? { ...record, state: 'interrupted' as const } : record;
    output.result(flags.json === true ? JSON.stringify(shown) : formatRecord(shown));
  }
  if (records.length === 0) output.note(`No audits in ${flags.stateDir}.`);
  return 'OK' as const;
};

const formatRecord = ({ id, state, stage, createdAt, evaluations, title, error }: AuditRecord): string =>
  [id, state.padEnd(11), stage.padEnd(12), createdAt, `${evaluations} evaluations`, title, error]
    .filter((part) => part !== '')
    .join('  ');
