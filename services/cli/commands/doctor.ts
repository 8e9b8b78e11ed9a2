/** `refusalscope doctor`: what this machine has and lacks, one line a check, with what to do. */
import type { Command } from 'commander';
import { cacheFolderOf, EMBEDDED_MODEL } from '../../../shared/model-store/embedded-model.js';
import { projectVersion } from '../../../shared/project/version.js';
import type { CommandContext } from '../command-context.js';
import { type Check, runChecks } from '../doctor-checks.js';
import { addStateFlag } from '../mesh-options.js';

const MARKS: Record<Check['verdict'], string> = { ok: 'ok  ', note: 'note', fail: 'FAIL' };

export const addDoctorCommand = (program: Command, context: CommandContext): void => {
  const command = program
    .command('doctor')
    .description('check this machine: Node, memory, cores, model file, folders, ports')
    .option('--json', 'one JSON object a line');
  addStateFlag(command)
    .addHelpText(
      'after',
      '\nExit code 6 if something keeps RefusalScope from running.\n\nExample:\n  $ npx refusalscope doctor',
    )
    .action((flags: { stateDir: string; json?: boolean }) =>
      context.run(async () => {
        const checks = await runChecks({
          stateDir: flags.stateDir,
          cacheDir: cacheFolderOf(process.env),
          model: EMBEDDED_MODEL,
        });
        if (flags.json !== true) context.output.result(`RefusalScope ${projectVersion}`);
        for (const check of checks) {
          context.output.result(
            flags.json === true
              ? JSON.stringify(check)
              : `${MARKS[check.verdict]}  ${check.name.padEnd(12)} ${check.detail}`,
          );
        }
        return checks.some((check) => check.verdict === 'fail') ? ('CHECK_FAILED' as const) : ('OK' as const);
      }),
    );
};
