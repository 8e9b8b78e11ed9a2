/** `refusalscope report`: the report of a finished audit, again, in either form. */
import { writeFile } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import { parseReport } from '../../coordinator/report/parse-report.js';
import type { CommandContext } from '../command-context.js';
import { addStateFlag } from '../mesh-options.js';
import { newestReported, openStore, readReport, type WhereFlags } from '../open-store.js';
import { formatSummary } from '../summary-text.js';

interface ReportFlags extends WhereFlags {
  readonly format: 'text' | 'json' | 'html';
  readonly output?: string;
}

export const addReportCommand = (program: Command, context: CommandContext): void => {
  const command = program
    .command('report')
    .description('print the report of a finished audit')
    .argument('[id]', 'the audit (default: the newest that succeeded)')
    .addOption(new Option('--format <format>', 'what to print').choices(['text', 'json', 'html']).default('text'))
    .option('--output <file>', 'write to a file instead of standard output')
    .option('--connect <address>', 'ask the coordinator at host:port');
  addStateFlag(command)
    .addHelpText(
      'after',
      '\nExamples:\n  $ npx refusalscope report\n  $ npx refusalscope report 20261123-181530-4f1c --format html --output report.html\n' +
        "  $ npx refusalscope report --format json | jq '.summary.setSize'",
    )
    .action((id: string | undefined, flags: ReportFlags) => context.run(() => report(id, flags, context)));
};

const report = async (id: string | undefined, flags: ReportFlags, context: CommandContext) => {
  const { output } = context;
  const auditId = id ?? newestReported(await openStore(flags.stateDir).list());
  const text = await readReport(auditId, flags.format === 'html' ? 'html' : 'json', flags, context);
  const shown = flags.format === 'text' ? formatSummary(parseReport(text)).join('\n') : text.trimEnd();
  if (flags.output === undefined) output.result(shown);
  else await writeFile(flags.output, `${shown}\n`);
  return 'OK' as const;
};
