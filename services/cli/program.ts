/** The command line: every command, its flags, its help. */
import { Command } from 'commander';
import { projectVersion } from '../../shared/project/version.js';
import type { CommandContext } from './command-context.js';
import { addAuditCommand } from './commands/audit.js';
import { addAuditLogCommand } from './commands/audit-log.js';
import { addCompareCommand } from './commands/compare.js';
import { addConfigCommand } from './commands/config.js';
import { addDoctorCommand } from './commands/doctor.js';
import { addEvaluateCommand } from './commands/evaluate.js';
import { addListCommand } from './commands/list.js';
import { addNumericsCommand } from './commands/numerics.js';
import { addPullCommand } from './commands/pull.js';
import { addReplayCommand } from './commands/replay.js';
import { addReportCommand } from './commands/report.js';
import { addResumeCommand } from './commands/resume.js';
import { addServeCommand } from './commands/serve.js';
import { addStartCommand } from './commands/start.js';
import { addSignCommand, addVerifyCommand } from './commands/verify.js';
import { EXIT_CODES } from './exit-codes.js';

const COMMANDS = [
  addStartCommand,
  addAuditCommand,
  addResumeCommand,
  addReportCommand,
  addListCommand,
  addCompareCommand,
  addVerifyCommand,
  addReplayCommand,
  addSignCommand,
  addEvaluateCommand,
  addServeCommand,
  addNumericsCommand,
  addPullCommand,
  addDoctorCommand,
  addConfigCommand,
  addAuditLogCommand,
];

export const createProgram = (context: CommandContext): Command => {
  const program = new Command('refusalscope')
    .description('Why does this model refuse, and how deep does that go?')
    .version(projectVersion)
    .showHelpAfterError('(add --help for all flags and examples)')
    .addHelpText(
      'after',
      `\nExit codes: ${exitCodeList()}\nExamples:\n  $ npx refusalscope start\n  $ npx refusalscope audit --help`,
    );
  for (const add of COMMANDS) add(program, context);
  for (const command of program.commands) command.showHelpAfterError('(add --help for all flags and examples)');
  return program;
};

const exitCodeList = (): string =>
  Object.values(EXIT_CODES)
    .map(({ code, meaning }) => `\n  ${String(code).padEnd(4)} ${meaning}`)
    .join('');
