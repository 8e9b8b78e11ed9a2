#!/usr/bin/env node
/** The process of the command line: streams, exit code, nothing else. */
import { CommanderError } from 'commander';
import { createContext } from './command-context.js';
import { createOutput } from './console-output.js';
import { EXIT_CODES } from './exit-codes.js';
import { quote } from './mesh-options.js';
import { createProgram } from './program.js';

const output = createOutput(process.stdout, process.stderr);
const commandLine = `npx refusalscope ${process.argv.slice(2).map(quote).join(' ')}`.trim();
const context = createContext(output, commandLine, (code) => {
  process.exitCode = code;
});
const program = createProgram(context);
for (const command of [program, ...program.commands]) command.exitOverride();
try {
  await program.parseAsync();
} catch (thrown) {
  if (!(thrown instanceof CommanderError)) throw thrown;
  process.exitCode = thrown.exitCode === 0 ? EXIT_CODES.OK.code : EXIT_CODES.USAGE.code;
}
