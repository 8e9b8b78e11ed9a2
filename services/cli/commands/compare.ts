/** `refusalscope compare`: what moved between two finished audits. */
import type { Command } from 'commander';
import { type AuditedSide, compareReports } from '../../coordinator/report/compare-reports.js';
import { parseReport } from '../../coordinator/report/parse-report.js';
import type { StageResults } from '../../coordinator/stages/stage-results.js';
import type { CommandContext } from '../command-context.js';
import { addStateFlag } from '../mesh-options.js';
import { connectCoordinator } from '../open-coordinator.js';
import { openStore, readReport, type WhereFlags } from '../open-store.js';

export const addCompareCommand = (program: Command, context: CommandContext): void => {
  const command = program
    .command('compare')
    .description('say what moved between two finished audits, as JSON')
    .argument('<before>', 'the earlier audit')
    .argument('<after>', 'the later audit')
    .option('--connect <address>', 'ask the coordinator at host:port');
  addStateFlag(command)
    .addHelpText('after', '\nExample:\n  $ npx refusalscope compare 20261123-181530-4f1c 20261124-090000-1a2b')
    .action((before: string, after: string, flags: WhereFlags) =>
      context.run(async () => {
        context.output.result(await compare(before, after, flags, context));
        return 'OK' as const;
      }),
    );
};

const compare = async (
  beforeId: string,
  afterId: string,
  where: WhereFlags,
  context: CommandContext,
): Promise<string> => {
  if (where.connect === undefined) {
    const [before, after] = await Promise.all([readSide(beforeId, where, context), readSide(afterId, where, context)]);
    return JSON.stringify(compareReports(before, after), null, 1);
  }
  const coordinator = await connectCoordinator(where.connect, context);
  const { comparisonJson } = await coordinator.client
    .compareAudits({ beforeId, afterId })
    .finally(() => coordinator.close());
  return comparisonJson;
};

const readSide = async (id: string, where: WhereFlags, context: CommandContext): Promise<AuditedSide> => {
  const report = parseReport(await readReport(id, 'json', where, context));
  const stored = (await openStore(where.stateDir).readResult(id, 'directions')) as
    | { readonly result: StageResults['directions'] }
    | undefined;
  return { report, directions: stored?.result.bestByLayer ?? [] };
};
