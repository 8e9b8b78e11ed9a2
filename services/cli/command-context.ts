/** What every command gets from main.ts: streams, the command line for reports, and the one place that turns faults into exit codes. */
import { isFault } from '../../shared/errors/fault.js';
import type { Output } from './console-output.js';
import { EXIT_CODES, type ExitName, exitNameOf } from './exit-codes.js';

export interface CommandContext {
  readonly output: Output;
  /** As it can be typed again. */
  readonly commandLine: string;
  /** Runs the command and sets the exit code. */
  run(command: () => Promise<ExitName>): Promise<void>;
}

export const createContext = (
  output: Output,
  commandLine: string,
  setExitCode: (code: number) => void,
): CommandContext => ({
  output,
  commandLine,
  run: async (command) => {
    try {
      setExitCode(EXIT_CODES[await command()].code);
    } catch (thrown) {
      setExitCode(EXIT_CODES[report(thrown, output)].code);
    }
  },
});

const report = (thrown: unknown, output: Output): ExitName => {
  if (isFault(thrown) && thrown.code !== 'INTERNAL') {
    output.note(`${thrown.code}: ${thrown.message}`);
    return exitNameOf(thrown.code);
  }
  output.note(thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown));
  return 'INTERNAL';
};
