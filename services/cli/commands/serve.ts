/** `refusalscope serve`: the five services and the console in one process, until stopped. */
import { once } from 'node:events';
import type { Command } from 'commander';
import { startMesh } from '../../mesh/start-mesh.js';
import type { CommandContext } from '../command-context.js';
import { addJudgeFlags } from '../judge-options.js';
import { addModelFlags, addStateFlag, type MeshFlags, meshConfigOf } from '../mesh-options.js';

interface ServeFlags extends MeshFlags {
  readonly listen: string;
  readonly console: string | false;
}

export const addServeCommand = (program: Command, context: CommandContext): void => {
  const command = program
    .command('serve')
    .description('serve the five services and the console until stopped')
    .option('--listen <address>', "the coordinator's host:port", '127.0.0.1:7000')
    .option('--console <address>', "the console's host:port", '127.0.0.1:7080')
    .option('--no-console', 'serve no web pages');
  addJudgeFlags(addStateFlag(addModelFlags(command)))
    .addHelpText(
      'after',
      '\nAll addresses are printed. Beyond loopback the coordinator asks for tokens or certificates: see docs/security.md.\n\n' +
        'Examples:\n  $ npx refusalscope serve\n  $ grpcurl -plaintext 127.0.0.1:7000 list\n' +
        '  $ npx refusalscope audit --connect 127.0.0.1:7000 --prompts p.jsonl',
    )
    .action((flags: ServeFlags) => context.run(() => serve(flags, context)));
};

const serve = async (flags: ServeFlags, context: CommandContext) => {
  const { output, commandLine } = context;
  const config = await meshConfigOf(flags, output);
  const consoleListen = flags.console === false ? undefined : flags.console;
  const mesh = await startMesh({ ...config, listen: flags.listen, consoleListen, commandLine, edges: context.edges });
  output.status('');
  output.result(`coordinator ${mesh.coordinatorAddress}`);
  output.result(`search      ${mesh.searchAddress}`);
  output.result(`inference   ${mesh.inferenceAddress}`);
  output.result(`sae         ${mesh.saeAddress}`);
  output.result(`fm          ${mesh.fmAddress}`);
  if (mesh.consoleAddress !== undefined) output.result(`console     ${mesh.consoleAddress}`);
  output.note('Serving. Ctrl-C stops; running audits keep their checkpoints.');
  await Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
  output.note('Stopping...');
  await mesh.stop();
  return 'OK' as const;
};
