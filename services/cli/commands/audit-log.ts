/** `refusalscope audit-log verify`: whether the lines of an audit log are those that were written. */
import type { Command } from 'commander';
import { verifyAuditLog } from '../../../shared/security/verify-audit-log.js';
import type { CommandContext } from '../command-context.js';
import type { ExitName } from '../exit-codes.js';

export const addAuditLogCommand = (program: Command, context: CommandContext): void => {
  const command = program.command('audit-log').description('the log of who edited what');
  command
    .command('verify')
    .description('follow the chain of hashes from the first line to the last')
    .argument('<file...>', 'audit logs')
    .option(
      '--head <sha256>',
      'the hash of the last line, kept from an earlier look: lines missing at the end show too',
    )
    .option('--json', 'one JSON object a line')
    .action((files: string[], flags: { head?: string; json?: boolean }) =>
      context.runAlone(() => verify(files, flags, context)),
    );
  command.addHelpText(
    'after',
    '\nExit code 6 if a line was changed, removed, inserted or cut short.\n\nExample:\n  $ npx refusalscope audit-log verify /var/log/refusalscope/inference.jsonl',
  );
};

const verify = async (
  files: readonly string[],
  { head, json }: { head?: string; json?: boolean },
  { output }: CommandContext,
): Promise<ExitName> => {
  let isSound = true;
  for (const file of files) {
    const chain = await verifyAuditLog(file);
    const verdict =
      chain.sound && head !== undefined && chain.head !== head
        ? { sound: false as const, line: chain.lines, problem: `its hash is ${chain.head}, and ${head} was expected` }
        : chain;
    isSound &&= verdict.sound;
    if (json === true) output.result(JSON.stringify({ file, ...verdict }));
    else if (verdict.sound) output.result(`${file}: sound, ${verdict.lines} lines, head ${verdict.head}`);
    else output.result(`${file}: line ${verdict.line}: ${verdict.problem}`);
  }
  return isSound ? 'OK' : 'CHECK_FAILED';
};
